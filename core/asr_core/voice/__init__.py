"""Voice activity: where somebody speaks in a recording or a live stream.

`regions` is pure: probabilities in, regions of speech out. `silero` runs the model that stands in
this folder, by onnxruntime: here alone core imports numpy and onnxruntime, so that nothing else of
it needs them (extra `vad`). The model is `silero_vad_16k_sequence.onnx` of the package silero-vad
6.2.3; its licence stands beside it.
"""

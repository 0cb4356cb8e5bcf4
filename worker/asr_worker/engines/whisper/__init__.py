"""Whisper on CTranslate2: batches of segments from many tasks, in windows of fixed lengths.

From top to bottom: `engine` (batches and results), `decoding` (passes over a batch), `word_times`,
`runtime` (the only module that calls CTranslate2), `features`, `vocabulary`; `unheard`,
`hypothesis` and `windows` (pure rules), `model_folder`. CTranslate2 and tokenizers are the extra
`whisper`: they are imported when a model is loaded.

Sources: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision",
https://arxiv.org/abs/2212.04356; `whisper/decoding.py` and `whisper/transcribe.py` of
https://github.com/openai/whisper.
"""

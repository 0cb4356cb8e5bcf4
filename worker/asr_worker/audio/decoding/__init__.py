"""The parts of the decoder, in the order a recording goes through them.

`joined` finds the recordings in a file, `packets` reads one, `timeline` places its frames by
`sound_clock`, `downmix` and `resampling` make them 16 kHz; `damage` tells what is missing, also by
the file's `declared_length`. Only `asr_worker.audio.decoder` calls them.
"""

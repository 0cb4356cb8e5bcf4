"""The parts of the decoder, in the order in which a recording passes them.

`joined` finds the recordings in a file, `packets` reads one, `timeline` places its frames by
`sound_clock`, `downmix` and `resampling` convert them to 16 kHz; `damage` collects what is missing,
also by the file's `declared_length`. Only `asr_worker.audio.decoder` calls them.
"""

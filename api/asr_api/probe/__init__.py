"""Probes an uploaded file: container, codec, channels, sample rate, duration.

`report` is plain data; `reader` is the only module of this room that imports the decoder; `child`
runs it in a process with resource limits; `pool` manages these processes.
`reader` and `child` do no I/O but reading the one file.
"""

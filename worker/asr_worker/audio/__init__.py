"""Audio: decoder processes, PCM on disk, and where a recording is cut into segments.

Knows no task and no engine. Only `decoder` and `decoding` import PyAV.
"""

"""The first bytes of the containers that are served. Pure.

Only to tell a damaged audio file from something that is no audio; whether a file is served, the
demuxer decides.
"""

from __future__ import annotations

SNIFF_BYTES = 64


def looks_like_audio(head: bytes) -> bool:
    """True when `head` begins as one of the served containers does."""
    if head.startswith((b"fLaC", b"OggS", b"ID3", b"#!AMR", b"\x1aE\xdf\xa3")):
        return True
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return True
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return True
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] != 0xFF

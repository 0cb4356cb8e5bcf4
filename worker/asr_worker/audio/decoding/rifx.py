"""RIFX: a wav file whose numbers, and so its samples, are big-endian.

FFmpeg reads the header as it is meant, and the samples as little-endian: noise. Source: Microsoft
and IBM, "Multimedia Programming Interface and Data Specifications 1.0", 1991, "RIFX".
"""

from __future__ import annotations

from typing import BinaryIO, Final

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream

_MARK: Final = b"RIFX"
_LITTLE: Final = "le"


def decoder_of(stream: AudioStream, *, is_rifx: bool) -> AudioCodecContext:
    """The stream's own decoder, or that of the other byte order."""
    own = stream.codec_context
    if not is_rifx or not own.name.startswith("pcm_") or not own.name.endswith(_LITTLE):
        return own
    other = av.CodecContext.create(own.name.removesuffix(_LITTLE) + "be", "r")
    assert isinstance(other, AudioCodecContext)
    other.sample_rate, other.layout = own.sample_rate, own.layout
    return other


def is_rifx(file: BinaryIO) -> bool:
    """The file is at its beginning before and after."""
    if not file.seekable():
        return False
    head = file.read(len(_MARK))
    file.seek(0)
    return head == _MARK

"""RIFF/WAVE with 16-bit PCM, as most telephony systems write, read without FFmpeg.

FFmpeg returns such a file in small packets, and Python's overhead per packet is most of the cost.
Here one read covers a second. Everything unexpected is left to FFmpeg: other formats, broken or
missing sizes, truncated files.

Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", 1991.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

from asr_worker.audio.pcm import FloatArray

CODEC: Final = "pcm_s16le"
_PCM: Final = 1
_SAMPLE_BYTES: Final = 2
_MOST_CHUNKS: Final = 64
_FORMAT: Final = struct.Struct("<HHIIHH")


@dataclass(frozen=True)
class PlainWav:
    """Position and format of the interleaved samples in a file."""

    rate: int
    channels: int
    start: int
    frames: int

    def blocks(self, file: BinaryIO) -> Iterator[FloatArray]:
        """Float32 samples (channels, samples) in [-1, 1), a second at a time."""
        file.seek(self.start)
        left = self.frames
        while left > 0:
            count = min(left, self.rate)
            raw = file.read(count * self.channels * _SAMPLE_BYTES)
            whole = len(raw) // (self.channels * _SAMPLE_BYTES)
            if whole == 0:  # truncated since it was opened
                return
            samples = np.frombuffer(raw, "<i2", count=whole * self.channels)
            planar = samples.reshape(whole, self.channels).T.astype(np.float32)
            planar *= np.float32(1 / 32768)  # a power of two: exact
            yield planar
            left -= whole


def find(file: BinaryIO) -> PlainWav | None:
    """None where FFmpeg is needed. The file is at its beginning before and after."""
    if not file.seekable():  # a pipe
        return None
    try:
        return _find(file)
    except struct.error:
        return None
    finally:
        file.seek(0)


def _find(file: BinaryIO) -> PlainWav | None:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    riff, _, wave = struct.unpack("<4sI4s", file.read(12))
    if (riff, wave) != (b"RIFF", b"WAVE"):
        return None
    described: tuple[int, int] | None = None
    for _ in range(_MOST_CHUNKS):
        name, length = struct.unpack("<4sI", file.read(8))
        start = file.tell()
        if name == b"fmt ":
            described = _described(file.read(_FORMAT.size), length)
            if described is None:
                return None
        elif name == b"data":
            if described is None or length == 0 or start + length > size:
                return None
            rate, channels = described
            frames, odd = divmod(length, channels * _SAMPLE_BYTES)
            return None if odd else PlainWav(rate, channels, start, frames)
        file.seek(start + length + length % 2)
    return None


def _described(raw: bytes, length: int) -> tuple[int, int] | None:
    """Rate and channels of plain 16-bit PCM."""
    kind, channels, rate, bytes_per_second, frame_bytes, bits = _FORMAT.unpack(raw)
    is_plain = (kind, bits) == (_PCM, 8 * _SAMPLE_BYTES) and length >= _FORMAT.size
    agrees = frame_bytes == channels * _SAMPLE_BYTES and bytes_per_second == rate * frame_bytes
    return (rate, channels) if is_plain and agrees and channels and rate else None

"""The duration that a file declares, where its format does so exactly: detects truncated files.

Estimates of FFmpeg, from a bit rate and the file's size, do not count. Sources: the
RIFF specification and RFC 2361 (`fact`, `data`); the Xing header as LAME writes it; RFC 9639, 8.2
(FLAC); ID3v2.4, section 3.1; the Advanced Systems Format specification 1.2, section 3.2.
"""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import BinaryIO, Final

from av.audio.stream import AudioStream
from av.container import InputContainer

from asr_worker.audio.decoding.ebml import SEGMENT, elements

# Programs that write to a pipe put one of these, or a little less, for a length they do not know.
_UNKNOWN_BYTES: Final = 0x7FFF0000
_PCM_FORMATS: Final = (1, 3, 6, 7, 0xFFFE)
_MOST_CHUNKS: Final = 64
_XING_REACH: Final = 4096
_ASF_REACH: Final = 65_536
_ASF_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# After GUID, size, file id, file size, creation date, packet count: play and send duration in units
# of 100 ns, preroll in ms, flags.
_ASF_FIELDS: Final = struct.Struct("<64xQ8xQI")


def declared_seconds(
    container: InputContainer, stream: AudioStream, file: BinaryIO
) -> float | None:
    """Seconds of the track; None if the file does not declare them. Moves the file's position."""
    name = container.format.name
    if name == "wav":
        return _of_wav(file)
    if name == "mp3":
        return _of_stream(stream) if _has_xing(file) else None
    if name in ("flac", "aiff", "au", "wv") or "mp4" in name:
        return _of_stream(stream)
    is_alone = len(container.streams) == 1
    if name == "asf":
        return _of_asf(file) if is_alone else None  # of the longest track, as the next
    if name == "flv" and container.duration and is_alone:
        return container.duration / 1_000_000
    if "matroska" in name and container.duration:  # of its longest track
        return container.duration / 1_000_000 if is_alone or _segment_is_cut_off(file) else None
    return None


def _of_stream(stream: AudioStream) -> float | None:
    if stream.duration is None or stream.time_base is None:
        return None
    return float(Fraction(stream.duration) * stream.time_base)


def _of_wav(file: BinaryIO) -> float | None:
    """From the bytes of `data` where each sample takes as many, else from `fact`."""
    if not file.seekable():
        return None
    try:
        return _wav_seconds(file)
    except struct.error:
        return None


def _wav_seconds(file: BinaryIO) -> float | None:
    file.seek(0)
    riff, wave = struct.unpack("<4s4x4s", file.read(12))
    order = {b"RIFF": "<", b"RIFX": ">"}.get(riff)
    if order is None or wave != b"WAVE":
        return None
    kind = rate = bytes_per_second = samples = 0
    for _ in range(_MOST_CHUNKS):
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        start = file.tell()
        if name == b"fmt ":
            kind, rate, bytes_per_second = struct.unpack(f"{order}H2xII", file.read(12))
        elif name == b"fact":
            (samples,) = struct.unpack(f"{order}I", file.read(4))
        elif name == b"data":
            by_bytes: float = length / max(bytes_per_second, 1)
            if not 0 < length < _UNKNOWN_BYTES:
                return None
            if kind in _PCM_FORMATS:
                return by_bytes
            by_samples: float = samples / max(rate, 1)  # some writers count each channel's
            return by_samples if by_bytes / 1.5 < by_samples < by_bytes * 1.5 else None
        file.seek(start + length + length % 2)
    return None


def _of_asf(file: BinaryIO) -> float | None:
    """From the File Properties Object: its play duration, of which the preroll is no sound."""
    if not file.seekable():
        return None
    file.seek(0)
    head = file.read(_ASF_REACH)
    at = head.find(_ASF_PROPERTIES)
    if at < 0 or at + _ASF_FIELDS.size > len(head):
        return None
    play, preroll_ms, flags = _ASF_FIELDS.unpack_from(head, at)
    is_broadcast = flags & 1  # then the duration means nothing
    return None if is_broadcast else max(play / 10_000_000 - preroll_ms / 1000, 0.0) or None


def _has_xing(file: BinaryIO) -> bool:
    """Whether the first frame of an mp3 declares the number of frames."""
    if not file.seekable():
        return False
    file.seek(0)
    head = file.read(10)
    skipped = 0
    if head[:3] == b"ID3" and len(head) == 10:
        skipped = 10
        for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True):
            skipped += (byte & 0x7F) << shift
    file.seek(skipped)
    first = file.read(_XING_REACH)
    return any(first.find(mark) >= 0 for mark in (b"Xing", b"Info"))


def _segment_is_cut_off(file: BinaryIO) -> bool:
    """Whether the segment of a Matroska file declares an end beyond the end of the file."""
    if not file.seekable():
        return False
    size = file.seek(0, io.SEEK_END)
    segments = (element for element in elements(file, size) if element.id == SEGMENT)
    return ((first := next(segments, None)) is not None) and (first.end or 0) > size

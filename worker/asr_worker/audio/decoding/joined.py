"""Splits files that hold several recordings one after another into views of each.

Radio recorders write such files, and so do programs that concatenate the pieces that a browser or a
telephone recorded. FFmpeg reads the first recording and, for some formats, the next one if it is
alike, and silently drops the rest.

Sources: the RIFF specification; RFC 8794, section 4 (EBML) and RFC 9559 (Matroska); ISO/IEC
14496-12, section 4.2 (boxes).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from asr_worker.audio.decoding import ogg_chain
from asr_worker.audio.decoding.ebml import EBML, SEGMENT, elements

MOST_RECORDINGS: Final = 500
_MOST_BOXES: Final = 100_000


class FileView(io.RawIOBase):
    """Bytes `start`..`end` of a file as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._end, self._at = file, start, end, start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = max(self._start, base + offset)
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        left = max(self._end - self._at, 0)
        self._file.seek(self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data


def recordings(file: BinaryIO) -> list[BinaryIO]:
    """The recordings in a file, in order; the file itself if it holds one or is a pipe. The file is
    at its beginning before and after.
    """
    if not file.seekable():
        return [file]
    head = file.read(12)
    size = file.seek(0, io.SEEK_END)
    starts = [0]
    if find := _finder(head):
        for at in find(file, size):
            starts.append(at)
            if len(starts) == MOST_RECORDINGS:
                break
    file.seek(0)
    if len(starts) == 1:
        return [file]
    return [
        FileView(file, start, end)  # type: ignore[misc]
        for start, end in zip(starts, [*starts[1:], size], strict=True)
    ]


def _finder(head: bytes) -> Callable[[BinaryIO, int], Iterator[int]] | None:
    """The function that finds the starts of later recordings, chosen by the file's first bytes."""
    if head.startswith(ogg_chain.CAPTURE):
        return ogg_chain.later_links
    if _is_wave(head):
        return _later_waves
    if head.startswith(EBML):
        return _later_matroskas
    return _later_movies if head[4:8] == b"ftyp" else None


def _is_wave(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def _later_waves(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    while True:
        file.seek(at)
        head = file.read(12)
        if len(head) < 12 or not _is_wave(head):
            return
        if at:
            yield at
        (length,) = struct.unpack("<4xI", head[:8])
        at += 8 + length + length % 2
        if at >= size:
            return


def _later_matroskas(file: BinaryIO, size: int) -> Iterator[int]:
    has_segment = False
    for element in elements(file, size):
        if element.id == EBML and has_segment:
            yield element.at
        has_segment = has_segment or element.id == SEGMENT


def _later_movies(file: BinaryIO, size: int) -> Iterator[int]:
    at, has_movie = 0, False
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 16:
            return
        length, name, long_length = struct.unpack(">I4sQ", head)
        length = long_length if length == 1 else length
        if length < 8 or at + length > size:
            return
        if name == b"ftyp" and has_movie:
            yield at
        has_movie = has_movie or name == b"moov"
        at += length

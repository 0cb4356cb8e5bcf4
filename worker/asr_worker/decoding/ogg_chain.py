"""Ogg files that hold several recordings one after another: where each begins, and a view of each.

Such files come from radio recorders and from simple joining. FFmpeg goes on to the next recording
only if its codec and layout are the same, and otherwise loses it.

Source: RFC 3533, "The Ogg Encapsulation Format Version 0", sections 4 and 6.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

MOST_LINKS: Final = 500
_CAPTURE: Final = b"OggS\0"
_HEADER: Final = struct.Struct("<4sBBqIIIB")
_FIRST_PAGE: Final = 2
_READ_BYTES: Final = 1024 * 1024
_LARGEST_PAGE: Final = 27 + 255 + 255 * 255


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


def is_ogg(file: BinaryIO) -> bool:
    """Whether there is anything to look for; a pipe is left alone."""
    if not file.seekable():
        return False
    file.seek(0)
    head = file.read(len(_CAPTURE))
    file.seek(0)
    return head == _CAPTURE


def links(file: BinaryIO) -> list[BinaryIO]:
    """The recordings in an Ogg file: the file itself where there is only one."""
    size = file.seek(0, io.SEEK_END)
    starts, group_end = [0], 0
    for at in _first_pages(file):
        if at > group_end and len(starts) < MOST_LINKS:  # else of the same recording as the last
            starts.append(at)
        group_end = at + _page_bytes(file, at)
    file.seek(0)
    if len(starts) == 1:
        return [file]
    return [
        FileView(file, start, end)  # type: ignore[misc]
        for start, end in zip(starts, [*starts[1:], size], strict=True)
    ]


def is_cut_off(file: BinaryIO) -> bool:
    """Whether the last page says that it is longer than the file."""
    size = file.seek(0, io.SEEK_END)
    tail_start = max(0, size - _LARGEST_PAGE)
    file.seek(tail_start)
    at = file.read().rfind(_CAPTURE)
    is_cut = at >= 0 and tail_start + at + _page_bytes(file, tail_start + at) > size
    file.seek(0)
    return is_cut


def _first_pages(file: BinaryIO) -> Iterator[int]:
    """Where pages lie that begin a stream."""
    start, carried = 0, b""
    while True:
        file.seek(start + len(carried))
        chunk = carried + file.read(_READ_BYTES)
        at = chunk.find(_CAPTURE)
        while at >= 0 and at + len(_CAPTURE) < len(chunk):
            if chunk[at + len(_CAPTURE)] & _FIRST_PAGE:
                yield start + at
            at = chunk.find(_CAPTURE, at + 1)
        if len(chunk) == len(carried):
            return
        carried = chunk[-len(_CAPTURE) :]
        start += len(chunk) - len(carried)


def _page_bytes(file: BinaryIO, at: int) -> int:
    """Header and content of the page at `at`, as it says itself."""
    file.seek(at)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return _LARGEST_PAGE
    count = header[-1]
    return _HEADER.size + count + sum(file.read(count))

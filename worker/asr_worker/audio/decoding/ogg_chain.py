"""Ogg pages: where later recordings of a file start, and whether the last page is complete.

Source: RFC 3533, "The Ogg Encapsulation Format Version 0", sections 4 and 6.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

CAPTURE: Final = b"OggS\0"
_HEADER: Final = struct.Struct("<4sBBqIIIB")
_FIRST_PAGE: Final = 2
_READ_BYTES: Final = 1024 * 1024
_LARGEST_PAGE: Final = 27 + 255 + 255 * 255


def later_links(file: BinaryIO, _size: int) -> Iterator[int]:
    """Offsets of the recordings after the first. Streams of one recording, as in a video, start on
    consecutive pages (section 4) and count once.
    """
    group_end = 0
    for at in _first_pages(file):
        if at > group_end:
            yield at
        group_end = at + _page_bytes(file, at)


def is_cut_off(file: BinaryIO) -> bool:
    """Whether the last page extends beyond the file; False if the file is not Ogg."""
    if not file.seekable():
        return False
    file.seek(0)
    if file.read(len(CAPTURE)) != CAPTURE:
        file.seek(0)
        return False
    size = file.seek(0, io.SEEK_END)
    tail_start = max(0, size - _LARGEST_PAGE)
    file.seek(tail_start)
    at = file.read().rfind(CAPTURE)
    is_cut = at >= 0 and tail_start + at + _page_bytes(file, tail_start + at) > size
    file.seek(0)
    return is_cut


def _first_pages(file: BinaryIO) -> Iterator[int]:
    """Offsets of the pages that start a stream."""
    start, carried = 0, b""
    while True:
        file.seek(start + len(carried))
        chunk = carried + file.read(_READ_BYTES)
        at = chunk.find(CAPTURE)
        while at >= 0 and at + len(CAPTURE) < len(chunk):
            if chunk[at + len(CAPTURE)] & _FIRST_PAGE:
                yield start + at
            at = chunk.find(CAPTURE, at + 1)
        if len(chunk) == len(carried):
            return
        carried = chunk[-len(CAPTURE) :]
        start += len(chunk) - len(carried)


def _page_bytes(file: BinaryIO, at: int) -> int:
    """Bytes of header and content of the page at `at`, by its header."""
    file.seek(at)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return _LARGEST_PAGE
    count = header[-1]
    return _HEADER.size + count + sum(file.read(count))

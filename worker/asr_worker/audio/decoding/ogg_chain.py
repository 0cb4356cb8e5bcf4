"""The pages of Ogg: where a recording begins behind another, and whether the last page is whole.

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
    """Where recordings after the first begin. Streams of one recording, as of a video, begin page
    after page (section 4): they are one.
    """
    group_end = 0
    for at in _first_pages(file):
        if at > group_end:
            yield at
        group_end = at + _page_bytes(file, at)


def is_cut_off(file: BinaryIO) -> bool:
    """Whether the last page says that it is longer than the file; False for what is no Ogg."""
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
    """Where pages lie that begin a stream."""
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
    """Header and content of the page at `at`, as it says itself."""
    file.seek(at)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return _LARGEST_PAGE
    count = header[-1]
    return _HEADER.size + count + sum(file.read(count))

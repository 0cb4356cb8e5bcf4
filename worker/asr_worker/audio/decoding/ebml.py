"""The outermost elements of a Matroska or WebM file. RFC 8794, section 4; RFC 9559, section 4.5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

EBML: Final = b"\x1a\x45\xdf\xa3"
SEGMENT: Final = b"\x18\x53\x80\x67"
_MOST_ELEMENTS: Final = 10_000
_READ_BYTES: Final = 1024 * 1024
_DOCUMENT_TYPES: Final = (b"webm", b"matroska")
_TYPE_REACH: Final = 64


@dataclass(frozen=True)
class Element:
    """Its start and its declared end; None if the length is unknown, as in live streams."""

    id: bytes
    at: int
    end: int | None


def elements(file: BinaryIO, size: int) -> Iterator[Element]:
    """The elements in order; after one of unknown length the next EBML header is searched."""
    at: int | None = 0
    for _ in range(_MOST_ELEMENTS):
        if at is None or at >= size or (element := _element(file, at)) is None:
            return
        yield element
        at = element.end if element.end is not None else _next_header(file, at + 4)


def _element(file: BinaryIO, at: int) -> Element | None:
    file.seek(at)
    head = file.read(12)
    id_bytes = _vint_bytes(head[:1])
    length_bytes = _vint_bytes(head[id_bytes : id_bytes + 1])
    raw = head[id_bytes : id_bytes + length_bytes]
    if not id_bytes or not length_bytes or len(raw) < length_bytes:
        return None
    unknown = (1 << 7 * length_bytes) - 1
    length = int.from_bytes(raw) & unknown
    content = at + id_bytes + length_bytes
    return Element(head[:id_bytes], at, None if length == unknown else content + length)


def _vint_bytes(first: bytes) -> int:
    """Of an EBML number that begins with this byte; 0 if none does."""
    return 9 - first[0].bit_length() if first and first[0] else 0


def _next_header(file: BinaryIO, start: int) -> int | None:
    """Where the next file's header begins: its mark, and its document type close by."""
    carried = b""
    while True:
        file.seek(start + len(carried))
        chunk = carried + file.read(_READ_BYTES)
        at = chunk.find(EBML)
        while at >= 0:
            near = chunk[at : at + _TYPE_REACH]
            if any(kind in near for kind in _DOCUMENT_TYPES):
                return start + at
            at = chunk.find(EBML, at + 1)
        if len(chunk) == len(carried):
            return None
        carried = chunk[-_TYPE_REACH:]
        start += len(chunk) - len(carried)

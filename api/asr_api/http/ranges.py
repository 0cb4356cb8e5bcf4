"""The Range header (RFC 9110, section 14), for one range of bytes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from asr_core.errors import RangeNotSatisfiable
from asr_core.text_limits import shortened

RANGE_MAX_CHARACTERS = 256
_PLACE_MAX_DIGITS = 18


@dataclass(frozen=True)
class ByteRange:
    """Bytes `start` to `end`, `end` excluded, of a file of `size` bytes."""

    start: int
    end: int
    size: int

    @property
    def length(self) -> int:
        return self.end - self.start

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """What `header` asks of a file of `size` bytes; None: send all of it.

    A header that is malformed, of another unit or of several ranges is ignored, as the RFC allows.
    Raises RangeNotSatisfiable if the range starts beyond the end.
    """
    span = _span(header or "")
    if span is None:
        return None
    first, last = span
    if first is None:
        length = last or 0
        start, end = max(0, size - length), size
        satisfiable = length > 0 and size > 0
    else:
        start = first
        end = size if last is None else min(last + 1, size)
        if last is not None and last < start:
            return None
        satisfiable = start < size
    if not satisfiable:
        raise RangeNotSatisfiable(
            f"{shortened(header or '')} is outside the file's {size} bytes.",
            size=size,
            param="range",
        )
    return ByteRange(start=start, end=end, size=size)


def _span(header: str) -> tuple[int | None, int | None] | None:
    """The numbers of `bytes=…-…`, of which one may be missing; None for anything else."""
    if len(header) > RANGE_MAX_CHARACTERS:
        return None
    unit, _, places = header.partition("=")
    first, dash, last = (part.strip() for part in places.partition("-"))
    if unit.strip().lower() != "bytes" or not dash or not (first or last):
        return None
    if not (_is_place(first) and _is_place(last)):
        return None
    return int(first) if first else None, int(last) if last else None


def _is_place(text: str) -> bool:
    is_number = text.isascii() and text.isdigit() and len(text) <= _PLACE_MAX_DIGITS
    return not text or is_number

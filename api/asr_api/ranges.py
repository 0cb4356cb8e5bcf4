"""The Range header (RFC 9110, section 14), for one range of bytes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from asr_core.errors import RangeNotSatisfiable

_ONE_RANGE = re.compile(r"^\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*$", re.IGNORECASE)


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
    Raises RangeNotSatisfiable when the range begins behind the end.
    """
    match = _ONE_RANGE.match(header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = int(match[2])
        start, end = max(0, size - length), size
        satisfiable = length > 0 and size > 0
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
        satisfiable = start < size
    if not satisfiable:
        raise RangeNotSatisfiable(
            f"{header!r} lies outside of the file's {size} bytes.", param="range"
        )
    return ByteRange(start=start, end=end, size=size)

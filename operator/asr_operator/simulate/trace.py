"""Traces, arrival times and durations of recordings, as CSV.

The header is `arrival_seconds,audio_seconds`, followed by one line per task. `arrival_seconds` may
have any zero and need not be sorted; `audio_seconds` is the recording's duration. Further
columns are ignored.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from asr_core.errors import InvalidOption

COLUMNS = ("arrival_seconds", "audio_seconds")
_QUIET_END_SECONDS = 60.0


@dataclass(frozen=True)
class Trace:
    """Sorted arrivals from zero on. `seconds` is the duration including a quiet end."""

    name: str
    seconds: float
    arrivals: tuple[float, ...]
    audio_seconds: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.arrivals)


def read_trace(path: Path) -> Trace:
    """Raises `InvalidOption` with the number of an invalid line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise InvalidOption(f"{path}: the first line must name {','.join(COLUMNS)}")
            pairs = sorted(_pair(path, rows.line_num, row) for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidOption(f"{path}: {error}") from None
    if not pairs:
        raise InvalidOption(f"{path}: no arrivals")
    start = pairs[0][0]
    arrivals = tuple(arrival - start for arrival, _ in pairs)
    audio = tuple(audio for _, audio in pairs)
    return Trace(path.stem, arrivals[-1] + _QUIET_END_SECONDS, arrivals, audio)


def _pair(path: Path, line: int, row: dict[str, str]) -> tuple[float, float]:
    texts = [row[column] for column in COLUMNS]
    try:
        arrival, audio = (float(text) for text in texts)
    except (TypeError, ValueError):
        raise InvalidOption(f"{path}, line {line}: no two numbers: {texts}") from None
    if not (math.isfinite(arrival) and math.isfinite(audio) and audio > 0):
        raise InvalidOption(f"{path}, line {line}: a time and a length above 0, not {texts}")
    return arrival, audio


def write_trace(trace: Trace, path: Path) -> None:
    """The CSV that `read_trace` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(
            (f"{arrival:.3f}", f"{audio:.3f}")
            for arrival, audio in zip(trace.arrivals, trace.audio_seconds, strict=True)
        )

"""Collects the parts of a recording that could not be read, in the recording's time. Pure.

The transcript of half a call looks like that of a short call, so the result carries warnings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from asr_core.result import TranscriptWarning

MOST_SPANS: Final = 20
# Damage this close together is one stretch.
_NEAR_SECONDS: Final = 0.5
# Headers are rounded and encoders pad: a shorter difference does not count as missing.
_MISSING_SECONDS: Final = 1.0


@dataclass
class _Span:
    start: float
    end: float


class Damage:
    """Collects losses while a recording is decoded; `warnings` returns them in order.

    At most `MOST_SPANS` spans are kept; the last one then extends to the last damage.
    """

    def __init__(self) -> None:
        self._spans: list[_Span] = []
        self._unreadable: list[tuple[float, str]] = []
        self._cuts: list[tuple[float, float | None]] = []

    def lost(self, at_seconds: float, seconds: float = 0.0) -> None:
        """Records a loss at `at_seconds` that lasts `seconds`; 0: unknown."""
        last = self._spans[-1] if self._spans else None
        if last is None or (
            at_seconds > last.end + _NEAR_SECONDS and len(self._spans) < MOST_SPANS
        ):
            self._spans.append(_Span(at_seconds, at_seconds + seconds))
        else:
            last.end = max(last.end + seconds, at_seconds)

    def silence(self, start_seconds: float, end_seconds: float) -> None:
        """Records silence that fills a gap: the length of a loss at its start."""
        last = self._spans[-1] if self._spans else None
        if last is not None and start_seconds <= last.end + _NEAR_SECONDS:
            last.end = max(last.end, end_seconds)

    def unreadable(self, at_seconds: float, reason: str) -> None:
        """Records that a part of the file, which would start at `at_seconds`, cannot be opened."""
        if len(self._unreadable) < MOST_SPANS:
            self._unreadable.append((at_seconds, reason))

    def ended(self, at_seconds: float, declared_seconds: float | None, *, is_cut: bool) -> None:
        """Records the end of a recording. `is_cut`: it ends within a packet or page."""
        last = self._spans[-1] if self._spans else None
        is_missing = (
            declared_seconds is not None and declared_seconds - at_seconds > _MISSING_SECONDS
        )
        is_half_a_packet = last and last.end >= at_seconds and last.end - last.start < _NEAR_SECONDS
        if is_half_a_packet and (is_cut or is_missing):
            self._spans.pop()  # the cut says it
            last = self._spans[-1] if self._spans else None
        reported = max(at_seconds, last.end) if last else at_seconds
        if declared_seconds is not None and declared_seconds - reported > _MISSING_SECONDS:
            self._cuts.append((reported, declared_seconds))
        elif is_cut and not (declared_seconds and last and last.end >= declared_seconds - 1.0):
            self._cuts.append((reported, None))

    def warnings(self) -> tuple[TranscriptWarning, ...]:
        """In order of time."""
        reported = [_damaged(span) for span in self._spans if span.end > span.start]
        reported += [
            TranscriptWarning(
                code="part_unreadable",
                message=f"A part of the file, after {at:.2f} s, could not be read ({reason}).",
                start_seconds=round(at, 3),
            )
            for at, reason in self._unreadable
        ]
        reported += [_cut(*cut) for cut in self._cuts[:MOST_SPANS]]
        return tuple(sorted(reported, key=lambda warning: warning.start_seconds))


def _damaged(span: _Span) -> TranscriptWarning:
    return TranscriptWarning(
        code="damaged",
        message=f"The recording is damaged between {span.start:.2f} s and {span.end:.2f} s.",
        start_seconds=round(span.start, 3),
        end_seconds=round(span.end, 3),
    )


def _cut(at: float, declared: float | None) -> TranscriptWarning:
    lost = "" if declared is None else f"; by its header it lasts {declared:.2f} s"
    return TranscriptWarning(
        code="cut_off",
        message=f"The file ends too early, at {at:.2f} s{lost}.",
        start_seconds=round(at, 3),
        end_seconds=None if declared is None else round(declared, 3),
    )

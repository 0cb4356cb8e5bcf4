"""What of a recording could not be read, in the recording's own seconds. Pure.

A transcript of half a call looks like one of a short call: whoever reads it must be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from asr_core.result import TranscriptWarning

MOST_SPANS: Final = 20
# Damage this close together is one stretch.
_NEAR_SECONDS: Final = 0.5
# Headers round, and encoders pad: less than this is no part that is missing.
_MISSING_SECONDS: Final = 1.0


@dataclass
class _Span:
    start: float
    end: float


class Damage:
    """Collects what is lost while a recording is decoded; `warnings` tells it in order.

    At most `MOST_SPANS` stretches are kept apart: the last one then reaches to the last damage.
    """

    def __init__(self) -> None:
        self._spans: list[_Span] = []
        self._unreadable: list[tuple[float, str]] = []
        self._cuts: list[tuple[float, float | None]] = []

    def lost(self, at_seconds: float, seconds: float = 0.0) -> None:
        """At `at_seconds` something could not be decoded that lasts `seconds`; 0: not known."""
        last = self._spans[-1] if self._spans else None
        if last is None or (
            at_seconds > last.end + _NEAR_SECONDS and len(self._spans) < MOST_SPANS
        ):
            self._spans.append(_Span(at_seconds, at_seconds + seconds))
        else:
            last.end = max(last.end + seconds, at_seconds)

    def silence(self, start_seconds: float, end_seconds: float) -> None:
        """Silence fills a hole: if something was lost there, this is how long it lasted."""
        last = self._spans[-1] if self._spans else None
        if last is not None and start_seconds <= last.end + _NEAR_SECONDS:
            last.end = max(last.end, end_seconds)

    def unreadable(self, at_seconds: float, reason: str) -> None:
        """A whole part of the file, which would begin at `at_seconds`, cannot be opened."""
        if len(self._unreadable) < MOST_SPANS:
            self._unreadable.append((at_seconds, reason))

    def ended(self, at_seconds: float, declared_seconds: float | None, *, is_cut: bool) -> None:
        """A recording is over. `is_cut`: it ends in the middle of something."""
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

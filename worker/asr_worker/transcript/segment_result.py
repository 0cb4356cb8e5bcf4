"""The result of one segment and its place in the recording. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from asr_worker.audio.segments import Span
from asr_worker.engines.base import SegmentText


@dataclass(frozen=True)
class SegmentResult:
    """`channel` is None for a mono mix. Word times count from the start of the span."""

    span: Span
    channel: int | None
    recognized: SegmentText

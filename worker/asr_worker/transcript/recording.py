"""A decoded recording and the segments it is cut into."""

from __future__ import annotations

from dataclasses import dataclass

from asr_core.options import TaskOptions
from asr_worker.audio.pcm import PcmFile
from asr_worker.audio.segments import Span, plan_segments
from asr_worker.engines.base import SegmentAudio


@dataclass(frozen=True)
class RecordedSegment:
    """A span of one lane of the decoded file."""

    lane: int
    span: Span


@dataclass(frozen=True)
class Recording:
    """Samples on disk, and where to cut them; `options` are the caller's."""

    pcm: PcmFile
    segments: tuple[RecordedSegment, ...]
    options: TaskOptions

    @property
    def seconds(self) -> float:
        """Audio to transcribe: without long silence, all channels together."""
        return sum(segment.span.seconds for segment in self.segments)

    def load(self, segment: RecordedSegment) -> SegmentAudio:
        """Reads the samples of one segment; only this stretch comes into memory."""
        return SegmentAudio(
            pcm=self.pcm.samples(segment.lane, segment.span.start, segment.span.end),
            options=self.options,
        )


def cut(pcm: PcmFile, options: TaskOptions, *, max_seconds: float) -> Recording:
    """Cuts every lane at its quiet points."""
    segments = [
        RecordedSegment(lane, span)
        for lane in range(pcm.lanes)
        for span in plan_segments(
            pcm.energy(lane), sample_count=pcm.sample_count, max_seconds=max_seconds
        )
    ]
    return Recording(pcm, tuple(sorted(segments, key=lambda part: (part.span, part.lane))), options)

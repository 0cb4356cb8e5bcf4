"""A decoded recording and its segments."""

from __future__ import annotations

from dataclasses import dataclass

from asr_core.options import TaskOptions
from asr_worker.audio.pcm import PcmFile
from asr_worker.audio.segments import Span, plan_segments
from asr_worker.engines.base import SegmentAudio


@dataclass(frozen=True)
class RecordedSegment:
    """A span of one channel of the decoded file."""

    channel: int
    span: Span


@dataclass(frozen=True)
class Recording:
    """Samples on disk and their segments; `options` are the caller's."""

    pcm: PcmFile
    segments: tuple[RecordedSegment, ...]
    options: TaskOptions

    @property
    def seconds(self) -> float:
        """Audio to transcribe: without long silence, all channels together."""
        return sum(segment.span.seconds for segment in self.segments)

    def load(self, segment: RecordedSegment) -> SegmentAudio:
        """Reads the samples of one segment; only this span is held in memory."""
        return SegmentAudio(
            pcm=self.pcm.samples(segment.channel, segment.span.start, segment.span.end),
            options=self.options,
        )


def segment_recording(pcm: PcmFile, options: TaskOptions, *, max_seconds: float) -> Recording:
    """Splits every channel at its quiet points; no segment is longer than `max_seconds`."""
    segments = [
        RecordedSegment(channel, span)
        for channel in range(pcm.channels)
        for span in plan_segments(
            pcm.energy(channel), sample_count=pcm.sample_count, max_seconds=max_seconds
        )
    ]
    return Recording(
        pcm, tuple(sorted(segments, key=lambda part: (part.span, part.channel))), options
    )

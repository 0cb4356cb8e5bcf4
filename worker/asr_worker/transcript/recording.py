"""A decoded recording and its segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asr_core.options import TaskOptions
from asr_core.voice.regions import Region, union_seconds
from asr_worker.audio.pcm import PcmFile
from asr_worker.audio.segments import Span, cut_at_pauses
from asr_worker.audio.speech import SpeechDetector, find_speech
from asr_worker.engines.base import SegmentAudio


@dataclass(frozen=True)
class RecordedSegment:
    """A span of one channel of the decoded file."""

    channel: int
    span: Span


@dataclass(frozen=True)
class Recording:
    """Samples on disk and their segments; `options` are the caller's.

    `speech_seconds`: how long somebody speaks, in whatever channel; never more than the recording.
    """

    pcm: PcmFile
    segments: tuple[RecordedSegment, ...]
    options: TaskOptions
    speech_seconds: float

    @property
    def seconds(self) -> float:
        """Audio to transcribe: speech with its margins, all channels together."""
        return sum(segment.span.seconds for segment in self.segments)

    def load(self, segment: RecordedSegment) -> SegmentAudio:
        """Reads the samples of one segment; only this span is held in memory."""
        return SegmentAudio(
            pcm=self.pcm.samples(segment.channel, segment.span.start, segment.span.end),
            options=self.options,
        )


def segment_recording(
    pcm: PcmFile,
    options: TaskOptions,
    *,
    max_seconds: float,
    detector: SpeechDetector,
    on_block: Callable[[], None] = lambda: None,
) -> Recording:
    """Finds the speech of every channel and splits it at its quiet points; no segment is longer
    than `max_seconds`. `on_block` is called for each minute that is looked at, and may raise.
    """
    segments: list[RecordedSegment] = []
    regions: list[Region] = []
    for channel in range(pcm.channels):
        energy = pcm.energy(channel)
        speech = find_speech(detector, pcm, channel, energy, on_block)
        regions += speech.regions
        spans = cut_at_pauses(energy, speech.kept, max_seconds=max_seconds)
        segments += [RecordedSegment(channel, span) for span in spans]
    segments.sort(key=lambda part: (part.span, part.channel))
    return Recording(pcm, tuple(segments), options, round(union_seconds(regions), 3))

"""Segments and batches of recordings, as a worker plans them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from asr_worker.audio.pcm import ENERGY_FRAME_SAMPLES, FloatArray
from asr_worker.audio.segments import plan_segments
from asr_worker.engines.base import SegmentAudio
from asr_worker.inference.batch_plan import BatchRules, PendingSegment, plan_batches


@dataclass(frozen=True)
class PlannedSegment:
    """A segment of the recording of this number, from sample `start` on."""

    recording: int
    start: int
    audio: SegmentAudio


def planned_batches(
    arrays: Sequence[FloatArray],
    batch_seconds: float,
    computed_seconds: Callable[[float], float] = float,
) -> Iterator[list[PlannedSegment]]:
    """Of samples at 16 kHz; `computed_seconds` is the engine's."""
    segments = [
        PlannedSegment(number, span.start, SegmentAudio(array[span.start : span.end]))
        for number, array in enumerate(arrays)
        for span in plan_segments(_energy(array), sample_count=len(array))
    ]
    pending = [
        PendingSegment(
            str(number),
            str(segment.recording),
            segment.audio.seconds,
            number,
            computed_seconds=computed_seconds(segment.audio.seconds),
        )
        for number, segment in enumerate(segments)
    ]
    for batch in plan_batches(pending, BatchRules(seconds=batch_seconds)):
        yield [segments[int(each.key)] for each in batch.segments]


def _energy(array: FloatArray) -> Any:
    """Mean square of each frame of 10 ms."""
    import numpy as np

    frames = -(-len(array) // ENERGY_FRAME_SAMPLES)
    padded = np.pad(array, (0, frames * ENERGY_FRAME_SAMPLES - len(array)))
    return np.square(padded.reshape(frames, ENERGY_FRAME_SAMPLES)).mean(axis=1)

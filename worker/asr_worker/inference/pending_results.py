"""Collects the results of each task's segments until all have arrived or the task has failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from asr_worker.engines.base import SegmentText
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTask
from asr_worker.inference.partial_results import PartialResults
from asr_worker.inference.segment_queue import WaitingSegment
from asr_worker.transcript.recording import Recording
from asr_worker.transcript.segment_result import SegmentResult


class PendingResults:
    """One entry per task that waits for its segments. Texts of other tasks are discarded."""

    def __init__(self, stages: Stages, partial_results: PartialResults) -> None:
        self._stages = stages
        self._partial_results = partial_results
        self._pending: dict[InFlightTask, _PendingResult] = {}

    def __contains__(self, task: InFlightTask) -> bool:
        return task in self._pending

    def start(
        self, task: InFlightTask, recording: Recording
    ) -> asyncio.Future[list[SegmentResult]]:
        """The future gets the results of all segments, or the error of `fail`."""
        pending = self._pending[task] = _PendingResult(len(recording.segments))
        self._partial_results.start(task, recording)
        return pending.future

    def end(self, task: InFlightTask) -> None:
        """Forgets the task; its texts are discarded from now on."""
        self._partial_results.end(task)
        del self._pending[task]

    def deliver(self, segments: Sequence[WaitingSegment], texts: Sequence[SegmentText]) -> None:
        """Hands the texts of a batch to their tasks."""
        for segment, text in zip(segments, texts, strict=True):
            if pending := self._pending.get(segment.task):
                channel = segment.recording.pcm.source_channel(segment.part.channel)
                segment.task.done_seconds += segment.seconds
                self._partial_results.add(segment.task, segment.part, text.text)
                pending.add(SegmentResult(segment.part.span, channel, text))
        self._stages.batch_done({segment.task for segment in segments})

    def fail(self, task: InFlightTask, error: Exception) -> None:
        """Ends the task's wait with an error."""
        if pending := self._pending.get(task):
            pending.fail(error)


class _PendingResult:
    """The results of one task so far."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._results: list[SegmentResult] = []
        self.future: asyncio.Future[list[SegmentResult]] = (
            asyncio.get_running_loop().create_future()
        )

    def add(self, result: SegmentResult) -> None:
        self._results.append(result)
        if len(self._results) == self._expected and not self.future.done():
            self.future.set_result(self._results)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)

"""Segments that wait for the engine, in fair order; `take` picks the next batch.

Plain bookkeeping without I/O. `fair_queueing` decides which segments are considered, `batch_plan`
which of those run together.
"""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from asr_core.task import Lane
from asr_worker.in_flight.tasks import InFlightTask
from asr_worker.inference.batch_plan import Batch, BatchRules, PendingSegment, plan_batch
from asr_worker.inference.fair_queueing import FairOrder
from asr_worker.transcript.recording import RecordedSegment, Recording

# Enough to find segments of similar length, few enough that the order stays fair.
_BATCHES_IN_VIEW = 4


@dataclass(eq=False)
class WaitingSegment:
    """One segment of a task; `seen_at` is when it was first considered for a batch."""

    task: InFlightTask
    recording: Recording
    part: RecordedSegment
    tag: float
    key: str
    computed_seconds: float
    seen_at: float | None = None

    @property
    def lane(self) -> Lane:
        return self.task.claim.task.lane

    @property
    def seconds(self) -> float:
        return self.part.span.seconds


class WaitingSegments:
    """All segments that are ready and not yet in a batch."""

    def __init__(
        self,
        rules: BatchRules,
        *,
        computed_seconds: Callable[[float], float] = float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`computed_seconds` is the engine's: what it computes for a segment of some length."""
        self._rules = rules
        self._computed_seconds = computed_seconds
        self._clock = clock
        self._order = FairOrder()
        self._segments: list[WaitingSegment] = []
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def lanes(self) -> set[Lane]:
        return {segment.lane for segment in self._segments}

    def add(self, task: InFlightTask, recording: Recording) -> None:
        """Everything a task has to be transcribed."""
        lane = task.claim.task.lane
        tags = self._order.tags(lane, [part.span.seconds for part in recording.segments])
        self._segments += [
            WaitingSegment(
                task,
                recording,
                part,
                tag,
                f"{task.claim.token}/{index}",
                self._computed_seconds(part.span.seconds),
            )
            for index, (part, tag) in enumerate(zip(recording.segments, tags, strict=True))
        ]
        self._segments.sort(key=attrgetter("tag"))
        self._count()

    def drop(self, task: InFlightTask) -> None:
        """Removes all segments of a task."""
        self._segments = [segment for segment in self._segments if segment.task is not task]
        self._count()

    def requeue(self, segments: Sequence[WaitingSegment]) -> None:
        """Puts the segments of a batch that did not run back; those of lost tasks are dropped."""
        for segment in segments:
            if segment.task.lost is None:
                insort(self._segments, segment, key=attrgetter("tag"))
        self._count()

    def take(self) -> tuple[Batch, tuple[WaitingSegment, ...]] | None:
        """The next batch with its segments in the batch's order; None if nothing waits."""
        view = {segment.key: segment for segment in self._in_view()}
        batch = plan_batch([self._pending(n, s) for n, s in enumerate(view.values())], self._rules)
        if batch is None:
            return None
        chosen = tuple(view[segment.key] for segment in batch.segments)
        self._order.served(min(segment.tag for segment in chosen))
        taken = set(chosen)
        self._segments = [segment for segment in self._segments if segment not in taken]
        self._count()
        return batch, chosen

    def _in_view(self) -> list[WaitingSegment]:
        view: list[WaitingSegment] = []
        seconds = 0.0
        for segment in self._segments:
            if seconds > _BATCHES_IN_VIEW * self._rules.seconds:
                break
            if segment.seen_at is None:
                segment.seen_at = self._clock()
            view.append(segment)
            seconds += segment.computed_seconds
        return view

    def _pending(self, arrival: int, segment: WaitingSegment) -> PendingSegment:
        assert segment.seen_at is not None, "in view"
        return PendingSegment(
            key=segment.key,
            task_id=segment.task.task_id,
            seconds=segment.seconds,
            arrival=arrival,
            lane=segment.lane,
            solo=segment.task.claim.solo,
            waiting_seconds=self._clock() - segment.seen_at,
            computed_seconds=segment.computed_seconds,
        )

    def _count(self) -> None:
        self.seconds = sum(segment.computed_seconds for segment in self._segments)

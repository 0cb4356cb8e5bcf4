"""The prefetch loop: plans batches from the segments of all tasks in flight and runs them.

While a batch runs, the next one is prepared and the texts of the previous one are read. Up to
`MOST_RUNS` batches are submitted at once, so that a GPU never idles between two; a model server is
sent as many as it takes, each of one segment.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from asr_core.task import Lane
from asr_worker.engines.base import SegmentAudio
from asr_worker.in_flight.capacity import GATHER_SECONDS, should_gather
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTask, InFlightTasks, Stage
from asr_worker.inference.batch_plan import BatchRules
from asr_worker.inference.engine_calls import EngineCalls
from asr_worker.inference.fault_isolation import EngineBroken, FaultIsolation, Prepared
from asr_worker.inference.partial_results import PartialResults
from asr_worker.inference.pending_results import PendingResults
from asr_worker.inference.segment_queue import WaitingSegment, WaitingSegments
from asr_worker.transcript.recording import Recording
from asr_worker.transcript.segment_result import SegmentResult

MOST_RUNS = 2


@dataclass(frozen=True)
class _Run:
    """A submitted batch. `computed` is set once the engine is free again; `task` ends when its
    texts have been delivered.
    """

    task: asyncio.Task[None]
    computed: asyncio.Event


class BatchRunner:
    """`transcribe` is called for every task in flight; `run` is the loop that serves them."""

    def __init__(
        self,
        engine: EngineCalls,
        rules: BatchRules,
        *,
        in_flight: InFlightTasks,
        stages: Stages,
        partial_results: PartialResults,
        most_runs: int = MOST_RUNS,
    ) -> None:
        self._engine = engine
        self._rules = rules
        self._most_runs = most_runs
        self._in_flight = in_flight
        self._stages = stages
        self._waiting = WaitingSegments(rules, computed_seconds=engine.computed_seconds)
        self._results = PendingResults(stages, partial_results)
        self._isolation = FaultIsolation(engine, self._results)
        self._changed = asyncio.Event()
        self._has_yielded = False

    async def transcribe(self, task: InFlightTask, recording: Recording) -> list[SegmentResult]:
        """The results of all segments of a recording, in any order.

        When cancelled, its segments that have not run are withdrawn. Raises EngineFailed.
        """
        if not recording.segments:
            return []
        finished = self._results.start(task, recording)
        self._waiting.add(task, recording)
        self._changed.set()
        try:
            return await finished
        finally:
            self._waiting.drop(task)
            self._results.end(task)

    async def run(self) -> None:
        """Runs batches forever. Raises EngineBroken."""
        runs: deque[_Run] = deque()
        try:
            while True:
                prepared = await self._prepare(runs)
                if runs:
                    await runs[-1].computed.wait()
                while len(runs) >= self._most_runs:
                    await asyncio.wait(
                        [run.task for run in runs], return_when=asyncio.FIRST_COMPLETED
                    )
                    _forget_ended(runs)
                if not self._must_yield(prepared):
                    runs.append(self._start(prepared))
                    continue
                self._waiting.requeue(prepared.segments)
                if other := await self._take():
                    runs.append(self._start(other))
        finally:
            for run in runs:
                run.task.cancel()
                with suppress(asyncio.CancelledError, EngineBroken):
                    await run.task

    async def _prepare(self, runs: deque[_Run]) -> Prepared:
        """A full batch while others run; whatever waits once none does."""
        while True:
            self._changed.clear()
            _forget_ended(runs)
            if self._waiting and not runs:
                await self._gather()
            if self._waiting and (not runs or self._has_full_batch()):
                if prepared := await self._take():
                    return prepared
                continue
            await self._changed.wait()

    def _start(self, prepared: Prepared) -> _Run:
        computed = asyncio.Event()

        def on_computed() -> None:
            computed.set()
            self._changed.set()

        for task in prepared.tasks:
            if task.stage is Stage.BATCH_WAIT:
                self._stages.enter(task, Stage.ENGINE)
        self._engine.observe_fill(prepared.batch)
        run = asyncio.create_task(self._isolation.run(prepared, on_computed))
        run.add_done_callback(lambda _: on_computed())
        return _Run(run, computed)

    async def _gather(self) -> None:
        """Waits at most `GATHER_SECONDS` for the batch to fill up."""
        give_up_at = time.monotonic() + GATHER_SECONDS
        while (left := give_up_at - time.monotonic()) > 0 and should_gather(
            is_full=self._has_full_batch(),
            lanes=self._waiting.lanes,
            more_coming=self._in_flight.preparing,
        ):
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)

    def _has_full_batch(self) -> bool:
        return self._rules.fills(segments=len(self._waiting), seconds=self._waiting.seconds)

    def _must_yield(self, prepared: Prepared) -> bool:
        """Whether an interactive segment that arrived later goes first; a batch yields once."""
        late = Lane.INTERACTIVE in self._waiting.lanes
        ours = any(segment.lane is Lane.INTERACTIVE for segment in prepared.segments)
        self._has_yielded = late and not ours and not self._has_yielded
        return self._has_yielded

    async def _take(self) -> Prepared | None:
        """The next batch, read from disk; a task whose samples cannot be read fails alone."""
        taken = self._waiting.take()
        if taken is None:
            return None
        batch, segments = taken
        loaded = await asyncio.to_thread(_load_all, segments)
        readable: list[tuple[WaitingSegment, SegmentAudio]] = []
        for segment, audio in zip(segments, loaded, strict=True):
            if isinstance(audio, SegmentAudio):
                readable.append((segment, audio))
            elif audio is not None:
                self._results.fail(segment.task, audio)
        if not readable:
            return None
        return Prepared(
            batch,
            tuple(segment for segment, _ in readable),
            tuple(audio for _, audio in readable),
        )


def _forget_ended(runs: deque[_Run]) -> None:
    """Removes the runs that have ended. Raises what ended one: EngineBroken."""
    for run in [run for run in runs if run.task.done()]:
        runs.remove(run)
        run.task.result()


def _load_all(segments: Iterable[WaitingSegment]) -> list[SegmentAudio | Exception | None]:
    """The samples of each segment, or the error of reading them; None if its task is lost."""
    loaded: list[SegmentAudio | Exception | None] = []
    for segment in segments:
        try:
            lost = segment.task.lost is not None
            loaded.append(None if lost else segment.recording.load(segment.part))
        except Exception as error:
            loaded.append(error)
    return loaded

"""Runs one batch; if it fails, finds the task at fault so that the others complete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from asr_core.errors import AsrError, DependencyError, EngineFailed, PermanentTaskError
from asr_core.process.logs import get_logger
from asr_worker.engines.base import SegmentAudio
from asr_worker.in_flight.tasks import InFlightTask
from asr_worker.inference.batch_plan import Batch
from asr_worker.inference.engine_calls import EngineCalls
from asr_worker.inference.pending_results import PendingResults
from asr_worker.inference.segment_queue import WaitingSegment

# Errors with which an engine says itself what they mean for the task.
_DECIDED = (PermanentTaskError, DependencyError)
_log = get_logger(__name__)


class EngineBroken(AsrError):
    """The engine fails on its warm-up, which it passed at start: this process must end.

    `culprits` are the tasks of the batch that broke it. Their leases are left to expire: a task
    that breaks engines then runs alone and becomes a dead letter; if it were released, it would
    break one engine after another.
    """

    def __init__(self, culprits: frozenset[InFlightTask]) -> None:
        super().__init__("the engine is broken")
        self.culprits = culprits


@dataclass(frozen=True)
class Prepared:
    """A batch with the samples of its segments in memory."""

    batch: Batch
    segments: tuple[WaitingSegment, ...]
    audio: tuple[SegmentAudio, ...]

    @property
    def tasks(self) -> frozenset[InFlightTask]:
        return frozenset(segment.task for segment in self.segments)


class FaultIsolation:
    """Delivers the texts of a batch, or fails the tasks at fault."""

    def __init__(self, engine: EngineCalls, results: PendingResults) -> None:
        self._engine = engine
        self._results = results

    async def run(self, prepared: Prepared, on_computed: Callable[[], None]) -> None:
        """`on_computed` is called once the engine is free again. Raises EngineBroken."""
        try:
            texts = await self._engine.transcribe(prepared.audio, on_computed)
        except Exception as error:
            _log.warning(
                "batch failed",
                segments=len(prepared.segments),
                tasks=len(prepared.tasks),
                reason=str(error),
                exc_info=None if isinstance(error, _DECIDED) else error,
            )
            await self._isolate(prepared, error)
        else:
            self._results.deliver(prepared.segments, texts)

    async def _isolate(self, prepared: Prepared, error: Exception) -> None:
        """Runs the segments of each task alone; only tasks that fail again are failed."""
        parts: dict[InFlightTask, list[int]] = defaultdict(list)
        for index, segment in enumerate(prepared.segments):
            if segment.task in self._results:
                parts[segment.task].append(index)
        failed = {next(iter(parts)): error} if len(parts) == 1 else {}
        for task, indexes in parts.items() if len(parts) > 1 else ():
            try:
                texts = await self._engine.transcribe([prepared.audio[index] for index in indexes])
            except Exception as own_error:
                failed[task] = own_error
            else:
                self._results.deliver([prepared.segments[index] for index in indexes], texts)
        undecided = [cause for cause in failed.values() if not isinstance(cause, _DECIDED)]
        if undecided and len(failed) == len(parts):
            await self._check_engine(prepared.tasks)
        for task, cause in failed.items():
            if isinstance(cause, _DECIDED):
                self._results.fail(task, cause)
                continue
            _log.error("engine failed on this task", task_id=task.task_id, exc_info=cause)
            name = type(cause).__name__
            self._results.fail(task, EngineFailed(f"the engine failed on this audio: {name}"))

    async def _check_engine(self, culprits: frozenset[InFlightTask]) -> None:
        """Every task failed: is it the audio or the engine? Raises EngineBroken."""
        try:
            await self._engine.warm_up()
        except Exception as error:
            raise EngineBroken(culprits) from error

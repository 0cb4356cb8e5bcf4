"""Feeds the engine: segments of all tasks in hand go in, batches run, texts come back to them.

While a batch runs, the next one is prepared and the texts of the one before are read. A GPU has two
batches to work on, so that it does not wait for us between them. Nothing else calls the engine.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from asr_core.errors import EngineFailed
from asr_core.process.logs import get_logger
from asr_core.task import Lane
from asr_worker.engines.base import SegmentAudio, SegmentText, Texts
from asr_worker.in_flight.capacity import GATHER_SECONDS, Throughput, worth_gathering
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTask, Stage
from asr_worker.inference.batch_plan import Batch, BatchRules
from asr_worker.inference.engine_thread import EngineThread
from asr_worker.inference.partial_results import Partials
from asr_worker.inference.segment_queue import WaitingSegment, WaitingSegments
from asr_worker.metrics import WorkerMetrics
from asr_worker.transcript.recording import Recording
from asr_worker.transcript.segment_result import SegmentResult

Begin = Callable[[Sequence[SegmentAudio]], Texts]
MOST_RUNS = 2
_log = get_logger(__name__)


class EngineBroken(Exception):
    """The engine fails on what it could do at start-up: this process must end.

    `culprits` had the batch that broke it. They are left to be reaped: a task that breaks engines
    then runs alone and ends among the dead letters, which handing it back would never do.
    """

    def __init__(self, culprits: frozenset[InFlightTask]) -> None:
        super().__init__("the engine is broken")
        self.culprits = culprits


@dataclass(frozen=True)
class Prepared:
    """Segments with their samples in memory."""

    batch: Batch
    segments: tuple[WaitingSegment, ...]
    audio: tuple[SegmentAudio, ...]

    @property
    def tasks(self) -> frozenset[InFlightTask]:
        return frozenset(segment.task for segment in self.segments)


@dataclass(frozen=True)
class _Run:
    """A batch under way: `computed` once the engine is free again, `task` ends with its texts."""

    task: asyncio.Task[None]
    computed: asyncio.Event


class BatchRunner:
    """`transcribe` is called for every task in hand, `run` is the loop that serves them.

    `begin` and `warm_up` are only ever called on `thread`, and what `begin` returns on `reader`;
    `more_coming` says whether tasks are about to bring segments.
    """

    def __init__(
        self,
        begin: Begin,
        warm_up: Callable[[], None],
        thread: EngineThread,
        reader: EngineThread,
        rules: BatchRules,
        *,
        metrics: WorkerMetrics,
        throughput: Throughput,
        stages: Stages,
        partials: Partials,
        more_coming: Callable[[], bool],
    ) -> None:
        self._begin = begin
        self._warm_up = warm_up
        self._thread = thread
        self._reader = reader
        self._rules = rules
        self._metrics = metrics
        self._throughput = throughput
        self._more_coming = more_coming
        self._partials = partials
        self._stages = stages
        self._waiting = WaitingSegments(rules)
        self._answers: dict[InFlightTask, _Answer] = {}
        self._news = asyncio.Event()
        self._stepped_back = False
        self._under_way = 0
        self._read_at = 0.0

    async def transcribe(self, task: InFlightTask, recording: Recording) -> list[SegmentResult]:
        """The texts of all segments of a recording, in no promised order.

        Cancelled, it takes back what has not run yet. Raises EngineFailed.
        """
        if not recording.segments:
            return []
        answer = self._answers[task] = _Answer(len(recording.segments))
        self._waiting.add(task, recording)
        self._partials.begin(task, recording)
        self._news.set()
        try:
            return await answer.future
        finally:
            self._waiting.drop(task)
            self._partials.end(task)
            del self._answers[task]

    async def run(self) -> None:
        """Runs batches for ever. Raises EngineBroken."""
        runs: deque[_Run] = deque()
        try:
            while True:
                prepared = await self._prepare(runs)
                if runs:
                    await runs[-1].computed.wait()
                while len(runs) >= MOST_RUNS:
                    await runs.popleft().task
                if not self._must_step_back(prepared):
                    runs.append(self._start(prepared))
                    continue
                self._waiting.put_back(prepared.segments)
                if other := await self._take():
                    runs.append(self._start(other))
        finally:
            for run in runs:
                run.task.cancel()
                with suppress(asyncio.CancelledError, EngineBroken):
                    await run.task

    async def _prepare(self, runs: deque[_Run]) -> Prepared:
        """A full batch while others are under way; whatever waits once there is none."""
        while True:
            self._news.clear()
            while runs and runs[0].task.done():
                runs.popleft().task.result()
            if self._waiting and not runs:
                await self._gather()
            if self._waiting and (not runs or self._waiting.seconds >= self._rules.seconds):
                if prepared := await self._take():
                    return prepared
                continue
            await self._news.wait()

    def _start(self, prepared: Prepared) -> _Run:
        computed = asyncio.Event()

        def engine_is_free() -> None:
            computed.set()
            self._news.set()

        task = asyncio.create_task(self._run_batch(prepared, engine_is_free))
        task.add_done_callback(lambda _: engine_is_free())
        return _Run(task, computed)

    async def _gather(self) -> None:
        """Lets a batch fill up for a blink."""
        give_up_at = time.monotonic() + GATHER_SECONDS
        while (left := give_up_at - time.monotonic()) > 0 and worth_gathering(
            ready_seconds=self._waiting.seconds,
            batch_seconds=self._rules.seconds,
            lanes=self._waiting.lanes,
            more_coming=self._more_coming(),
        ):
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)

    def _must_step_back(self, prepared: Prepared) -> bool:
        """Someone at a screen came after this batch was prepared: it waits for one other, once."""
        late = Lane.INTERACTIVE in self._waiting.lanes
        ours = any(segment.lane is Lane.INTERACTIVE for segment in prepared.segments)
        self._stepped_back = late and not ours and not self._stepped_back
        return self._stepped_back

    async def _take(self) -> Prepared | None:
        """The next batch, read from disk; a task whose samples cannot be read fails alone."""
        taken = self._waiting.take()
        if taken is None:
            return None
        batch, segments = taken
        loaded = await asyncio.to_thread(_load_all, segments)
        good = [(s, audio) for s, audio in zip(segments, loaded, strict=True) if not _is_bad(audio)]
        for segment, error in zip(segments, loaded, strict=True):
            if isinstance(error, Exception):
                self._fail(segment.task, error)
        if not good:
            return None
        kept, audio = zip(*good, strict=True)
        return Prepared(batch, kept, audio)

    async def _run_batch(self, prepared: Prepared, engine_is_free: Callable[[], None]) -> None:
        for task in prepared.tasks:
            if task.stage is Stage.BATCH_WAIT:
                self._stages.enter(task, Stage.ENGINE)
        self._metrics.batch_fill_ratio.observe(1 - prepared.batch.padding_share)
        try:
            texts = await self._timed(prepared.audio, engine_is_free)
        except Exception as error:
            _log.warning(
                "batch failed",
                segments=len(prepared.segments),
                tasks=len(prepared.tasks),
                exc_info=error,
            )
            await self._isolate(prepared, error)
        else:
            self._deliver(prepared.segments, texts)

    async def _timed(
        self, audio: Sequence[SegmentAudio], computed: Callable[[], None] = lambda: None
    ) -> list[SegmentText]:
        started = time.monotonic()
        self._count_under_way(1)
        try:
            read = await self._thread.call(lambda: self._begin(audio))
            computed()
            texts = await self._reader.call(read)
        finally:
            self._count_under_way(-1)
        if len(texts) != len(audio):
            raise EngineFailed(f"{len(texts)} texts came back for {len(audio)} segments")
        # The engine may have begun while it was still busy with the batch before.
        now = time.monotonic()
        seconds, self._read_at = now - max(started, self._read_at), now
        self._stages.observe(Stage.ENGINE, seconds)
        self._throughput.add(sum(segment.seconds for segment in audio), seconds)
        return texts

    def _count_under_way(self, change: int) -> None:
        self._under_way += change
        self._metrics.worker_busy.set(min(self._under_way, 1))

    async def _isolate(self, prepared: Prepared, error: Exception) -> None:
        """Runs each task's segments by themselves: the culprit fails, its mates complete."""
        parts: dict[InFlightTask, list[int]] = defaultdict(list)
        for index, segment in enumerate(prepared.segments):
            if segment.task in self._answers:
                parts[segment.task].append(index)
        failed = {next(iter(parts)): error} if len(parts) == 1 else {}
        for task, indexes in parts.items() if len(parts) > 1 else ():
            try:
                texts = await self._timed([prepared.audio[index] for index in indexes])
            except Exception as own_error:
                failed[task] = own_error
            else:
                self._deliver([prepared.segments[index] for index in indexes], texts)
        if failed and len(failed) == len(parts):
            await self._check_engine(prepared.tasks)
        for task, cause in failed.items():
            _log.error("engine failed on this task", task_id=task.task_id, exc_info=cause)
            name = type(cause).__name__
            self._fail(task, EngineFailed(f"the engine failed on this audio: {name}"))

    async def _check_engine(self, culprits: frozenset[InFlightTask]) -> None:
        """Nothing worked: is it the audio or the engine? Raises EngineBroken."""
        try:
            await self._thread.call(self._warm_up)
        except Exception as error:
            raise EngineBroken(culprits) from error

    def _deliver(self, segments: Sequence[WaitingSegment], texts: Sequence[SegmentText]) -> None:
        for segment, said in zip(segments, texts, strict=True):
            if answer := self._answers.get(segment.task):
                channel = segment.recording.pcm.channel_of(segment.part.lane)
                segment.task.done_seconds += segment.seconds
                self._partials.said(segment.task, segment.part, said.text)
                answer.add(SegmentResult(segment.part.span, channel, said))
        self._stages.batch_done({segment.task for segment in segments})

    def _fail(self, task: InFlightTask, error: Exception) -> None:
        if answer := self._answers.get(task):
            answer.fail(error)


class _Answer:
    """What has been said so far in one task."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._placed: list[SegmentResult] = []
        self.future: asyncio.Future[list[SegmentResult]] = (
            asyncio.get_running_loop().create_future()
        )

    def add(self, text: SegmentResult) -> None:
        self._placed.append(text)
        if len(self._placed) == self._expected and not self.future.done():
            self.future.set_result(self._placed)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def _load_all(segments: Iterable[WaitingSegment]) -> list[SegmentAudio | Exception | None]:
    """Samples, or why there are none; None for tasks that were lost meanwhile."""
    loaded: list[SegmentAudio | Exception | None] = []
    for segment in segments:
        try:
            lost = segment.task.lost is not None
            loaded.append(None if lost else segment.recording.load(segment.part))
        except Exception as error:
            loaded.append(error)
    return loaded


def _is_bad(audio: object) -> bool:
    return not isinstance(audio, SegmentAudio)

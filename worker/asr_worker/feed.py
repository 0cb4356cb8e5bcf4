"""Feeds the engine: segments of all tasks in hand go in, batches run, texts come back to them.

One batch runs and one more is prepared while it does. Nothing else calls `transcribe`.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from asr_core.errors import EngineFailed
from asr_core.logs import get_logger
from asr_core.metrics import Metrics
from asr_core.task import Lane
from asr_worker.assemble import PlacedText
from asr_worker.batching import Batch, BatchRules
from asr_worker.capacity import GATHER_SECONDS, Throughput, worth_gathering
from asr_worker.engine_thread import EngineThread
from asr_worker.engines.base import SegmentAudio, SegmentText
from asr_worker.hand import Stage, TaskInHand
from asr_worker.partials import Partials
from asr_worker.recording import Recording
from asr_worker.stages import Stages
from asr_worker.waiting_segments import WaitingSegment, WaitingSegments

Transcribe = Callable[[Sequence[SegmentAudio]], list[SegmentText]]
_log = get_logger(__name__)


class EngineBroken(Exception):
    """The engine fails on what it could do at start-up: this process must end.

    `culprits` had the batch that broke it. They are left to be reaped: a task that breaks engines
    then runs alone and ends among the dead letters, which handing it back would never do.
    """

    def __init__(self, culprits: frozenset[TaskInHand]) -> None:
        super().__init__("the engine is broken")
        self.culprits = culprits


@dataclass(frozen=True)
class Prepared:
    """Segments with their samples in memory."""

    batch: Batch
    segments: tuple[WaitingSegment, ...]
    audio: tuple[SegmentAudio, ...]

    @property
    def tasks(self) -> frozenset[TaskInHand]:
        return frozenset(segment.task for segment in self.segments)


class Feed:
    """`transcribe` is called for every task in hand, `run` is the loop that serves them.

    `engine` and `warm_up` are only ever called on `thread`; `more_coming` says whether tasks are
    about to bring segments.
    """

    def __init__(
        self,
        engine: Transcribe,
        warm_up: Callable[[], None],
        thread: EngineThread,
        rules: BatchRules,
        *,
        metrics: Metrics,
        throughput: Throughput,
        stages: Stages,
        partials: Partials,
        more_coming: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._warm_up = warm_up
        self._thread = thread
        self._rules = rules
        self._metrics = metrics
        self._throughput = throughput
        self._more_coming = more_coming
        self._partials = partials
        self._stages = stages
        self._waiting = WaitingSegments(rules)
        self._answers: dict[TaskInHand, _Answer] = {}
        self._news = asyncio.Event()
        self._stepped_back = False

    async def transcribe(self, task: TaskInHand, recording: Recording) -> list[PlacedText]:
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
        running: asyncio.Task[None] | None = None
        try:
            while True:
                prepared = await self._prepare(running)
                if running is not None:
                    await running
                if prepared is not None and self._must_step_back(prepared):
                    self._waiting.put_back(prepared.segments)
                    prepared = await self._take()
                running = None
                if prepared is not None:
                    running = asyncio.create_task(self._run_batch(prepared))
        finally:
            if running is not None:
                running.cancel()
                with suppress(asyncio.CancelledError, EngineBroken):
                    await running

    async def _prepare(self, running: asyncio.Task[None] | None) -> Prepared | None:
        """A full batch while the engine is busy; whatever waits once it is idle."""
        while True:
            self._news.clear()
            idle = running is None or running.done()
            if idle and self._waiting:
                await self._gather()
            if self._waiting and (idle or self._waiting.seconds >= self._rules.seconds):
                if prepared := await self._take():
                    return prepared
                continue
            if running is not None and running.done():
                return None
            await self._news_or(running)

    async def _news_or(self, running: asyncio.Task[None] | None) -> None:
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait(
                [news, running] if running else [news], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            news.cancel()

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

    async def _run_batch(self, prepared: Prepared) -> None:
        for task in prepared.tasks:
            if task.stage is Stage.BATCH_WAIT:
                self._stages.enter(task, Stage.ENGINE)
        self._metrics.batch_fill_ratio.observe(1 - prepared.batch.padding_share)
        try:
            texts = await self._timed(prepared.audio)
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

    async def _timed(self, audio: Sequence[SegmentAudio]) -> list[SegmentText]:
        self._metrics.worker_busy.set(1)
        started = time.monotonic()
        try:
            texts = await self._thread.call(lambda: self._engine(audio))
        finally:
            self._metrics.worker_busy.set(0)
        if len(texts) != len(audio):
            raise EngineFailed(f"{len(texts)} texts came back for {len(audio)} segments")
        seconds = time.monotonic() - started
        self._stages.observe(Stage.ENGINE, seconds)
        self._throughput.add(sum(segment.seconds for segment in audio), seconds)
        return texts

    async def _isolate(self, prepared: Prepared, error: Exception) -> None:
        """Runs each task's segments by themselves: the culprit fails, its mates complete."""
        parts: dict[TaskInHand, list[int]] = defaultdict(list)
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

    async def _check_engine(self, culprits: frozenset[TaskInHand]) -> None:
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
                answer.add(PlacedText(segment.part.span, channel, said))
        self._stages.batch_done({segment.task for segment in segments})

    def _fail(self, task: TaskInHand, error: Exception) -> None:
        if answer := self._answers.get(task):
            answer.fail(error)


class _Answer:
    """What has been said so far in one task."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._placed: list[PlacedText] = []
        self.future: asyncio.Future[list[PlacedText]] = asyncio.get_running_loop().create_future()

    def add(self, text: PlacedText) -> None:
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

"""Calls the engine on its threads and measures every call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asr_core.errors import EngineFailed
from asr_worker.audio.speech import SpeechDetector
from asr_worker.engines.base import Engine, PendingTexts, SegmentAudio, SegmentText
from asr_worker.in_flight.capacity import Throughput
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import Stage
from asr_worker.inference.batch_plan import Batch
from asr_worker.inference.engine_thread import EngineThread
from asr_worker.metrics import WorkerMetrics

Submit = Callable[[Sequence[SegmentAudio]], PendingTexts]


@dataclass(frozen=True)
class LoadedEngine:
    """The engine, the thread that owns it, and the thread that reads its texts.

    `submit` is the engine's, with batches that exceed the memory split; `detector` finds the speech
    that it gets.
    """

    engine: Engine
    detector: SpeechDetector
    thread: EngineThread
    reader: EngineThread
    submit: Submit
    startup_seconds: float

    def busy_since(self) -> float | None:
        """Monotonic time since when a batch is computed or read; None if the engine is idle."""
        since = (self.thread.busy_since, self.reader.busy_since)
        return min((moment for moment in since if moment is not None), default=None)


class EngineCalls:
    """The only caller of the engine. Observes its times, the throughput and whether it is busy."""

    def __init__(
        self,
        loaded: LoadedEngine,
        *,
        metrics: WorkerMetrics,
        throughput: Throughput,
        stages: Stages,
    ) -> None:
        self._loaded = loaded
        self._metrics = metrics
        self._throughput = throughput
        self._stages = stages
        self._running_count = 0
        self._read_at = 0.0

    def computed_seconds(self, seconds: float) -> float:
        """What the engine computes for a segment of this length."""
        return self._loaded.engine.computed_seconds(seconds)

    async def transcribe(
        self, audio: Sequence[SegmentAudio], on_computed: Callable[[], None] = lambda: None
    ) -> list[SegmentText]:
        """The texts of a batch, in order; `on_computed` is called once the engine is free again.

        Raises what the engine raises, and EngineFailed if texts are missing.
        """
        started = time.monotonic()
        self._count_running(1)
        try:
            read = await self._loaded.thread.call(lambda: self._loaded.submit(audio))
            on_computed()
            texts = await self._loaded.reader.call(read)
        finally:
            self._count_running(-1)
        if len(texts) != len(audio):
            raise EngineFailed(f"{len(texts)} texts came back for {len(audio)} segments")
        self._observe(audio, started)
        return texts

    async def warm_up(self) -> None:
        """Repeats the run of start-up: raises if the engine itself is broken."""
        await self._loaded.thread.call(self._loaded.engine.warm_up)

    def observe_fill(self, batch: Batch) -> None:
        """Records how much of a batch is audio rather than padding."""
        self._metrics.batch_fill_ratio.observe(1 - batch.padding_share)

    def _observe(self, audio: Sequence[SegmentAudio], started: float) -> None:
        # The engine may have been submitted this batch while it was busy with the one before.
        now = time.monotonic()
        seconds, self._read_at = now - max(started, self._read_at), now
        self._stages.observe(Stage.ENGINE, seconds)
        self._throughput.add(sum(segment.seconds for segment in audio), seconds)

    def _count_running(self, change: int) -> None:
        self._running_count += change
        self._metrics.worker_busy.set(min(self._running_count, 1))

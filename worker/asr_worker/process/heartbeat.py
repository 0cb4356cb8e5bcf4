"""Reports this worker's state to the queue every ten seconds; the reply says if it is cordoned."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import asr_core
from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.queue import Consumer, ServedModel, WorkerRecord
from asr_worker.attempts.claiming import Claiming
from asr_worker.engines.base import Engine
from asr_worker.in_flight.capacity import Throughput
from asr_worker.in_flight.obstacles import Obstacles
from asr_worker.in_flight.tasks import InFlightTasks
from asr_worker.process.resource_usage import ResourceMeter, ResourceUse
from asr_worker.settings import WorkerSettings

BEAT_SECONDS = 10.0
_log = get_logger(__name__)


@dataclass(frozen=True)
class Heartbeat:
    """`run` is its loop; `beat` runs once before the first claim, which counts live workers."""

    settings: WorkerSettings
    consumer: Consumer
    engine: Engine
    in_flight: InFlightTasks
    claiming: Claiming
    throughput: Throughput
    resources: ResourceMeter
    obstacles: Obstacles
    startup_seconds: float
    started_at: float = field(default_factory=time.time)

    async def run(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_SECONDS)

    async def beat(self) -> None:
        """Writes one record. Best effort: while Redis is unavailable it only logs."""
        used = await asyncio.to_thread(self.resources.read)
        try:
            cordoned = await self.consumer.beat(self.record(used), self.serves())
        except DependencyError as error:
            _log.warning("no heartbeat", error=str(error))
            return
        if cordoned != self.claiming.cordoned:
            _log.info("cordoned" if cordoned else "uncordoned")
        self.claiming.cordoned = cordoned

    def serves(self) -> ServedModel:
        engine = self.engine
        return ServedModel(engine.model_id, frozenset(engine.supports), engine.languages)

    def record(self, used: ResourceUse) -> WorkerRecord:
        return WorkerRecord(
            consumer=self.consumer.name,
            worker=self.consumer.worker,
            pool=self.settings.pool,
            slots=self.settings.max_tasks_in_hand,
            busy=len(self.in_flight),
            in_flight_seconds=round(self.in_flight.left_seconds, 3),
            throughput=round(self.throughput.audio_seconds_per_second, 3),
            startup_seconds=round(self.startup_seconds, 3),
            model=self.engine.model_id,
            engine=self.engine.name,
            device=self.engine.device,
            version=asr_core.__version__,
            tasks_done=self.in_flight.done_count,
            started_at=self.started_at,
            cpu_percent=used.cpu_percent,
            memory_bytes=used.memory_bytes,
            gpu_percent=used.gpu.percent if used.gpu else None,
            gpu_memory_bytes=used.gpu.memory_bytes if used.gpu else None,
            gpu_memory_total_bytes=used.gpu.memory_total_bytes if used.gpu else None,
            problem=self.obstacles.observe() or None,
        )

"""Puts a worker's parts together. Starts nothing and touches nothing outside."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from asr_core.queue import Consumer, LeaseKeeper, Outcome
from asr_core.store import Store
from asr_worker.attempts.claiming import Claiming
from asr_worker.attempts.pipeline import Pipeline
from asr_worker.attempts.preparation import Preparation
from asr_worker.attempts.reports import Reports
from asr_worker.attempts.scratch_dir import WorkFolder
from asr_worker.attempts.store_access import StoreAccess
from asr_worker.audio.decode_pool import DecodePool
from asr_worker.engines.base import Engine
from asr_worker.engines.gpu import gpu_use
from asr_worker.in_flight.capacity import (
    Capacity,
    Throughput,
    batch_seconds_on,
    room_kept,
    room_left,
)
from asr_worker.in_flight.obstacles import Obstacles
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTasks
from asr_worker.inference.batch_plan import BatchRules
from asr_worker.inference.batch_runner import BatchRunner, Begin
from asr_worker.inference.engine_thread import EngineThread
from asr_worker.inference.partial_results import Partials
from asr_worker.metrics import WorkerMetrics
from asr_worker.process.heartbeat import Heartbeat
from asr_worker.process.lease_watch import LeaseWatch
from asr_worker.process.recycling import Recycling
from asr_worker.process.resource_usage import ResourceMeter
from asr_worker.process.watchdog import Watchdog
from asr_worker.settings import WorkerSettings

_LEAST_DECODERS, _MOST_DECODERS = 2, 8


@dataclass(frozen=True)
class LoadedEngine:
    """The engine with the thread that owns it, and the one that reads its texts.

    `begin` is the engine's, and bears running out of memory.
    """

    engine: Engine
    thread: EngineThread
    reader: EngineThread
    begin: Begin
    startup_seconds: float

    def busy_since(self) -> float | None:
        """Since when a batch computes, or is waited for."""
        since = (self.thread.busy_since, self.reader.busy_since)
        return min((moment for moment in since if moment is not None), default=None)


@dataclass(frozen=True)
class Dependencies:
    """What the parts share and someone else closes."""

    settings: WorkerSettings
    consumer: Consumer
    loaded: LoadedEngine
    decoders: DecodePool
    folder: WorkFolder
    metrics: WorkerMetrics


@dataclass(frozen=True)
class Components:
    """One of each. Loops are methods named `run`; the keeper and the watchdog are threads."""

    pipeline: Pipeline
    claiming: Claiming
    heartbeat: Heartbeat
    partials: Partials
    lease_watch: LeaseWatch
    keeper: LeaseKeeper
    watchdog: Watchdog
    recycling: Recycling
    throughput: Throughput


def decoder_count(settings: WorkerSettings) -> int:
    """As configured, else half of the processors: the engine and the features need the others. With
    two, one holds no long recording. The one that is kept is not counted.
    """
    half = (os.cpu_count() or 1) // 2
    return settings.decode_processes or max(_LEAST_DECODERS, min(_MOST_DECODERS, half))


def build(around: Dependencies) -> Components:
    """The parts of one process; call it on the event loop they are to run on."""
    settings, loaded = around.settings, around.loaded
    loop = asyncio.get_running_loop()
    hand, throughput = InFlightTasks(), Throughput()

    def on_lost(task_id: str, token: str, outcome: Outcome) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is nothing left to lose
            loop.call_soon_threadsafe(pipeline.lose, task_id, token, outcome)

    keeper = LeaseKeeper(
        settings,
        settings,
        consumer=around.consumer.name,
        progress_deadline_seconds=settings.progress_deadline_seconds,
        on_lost=on_lost,
    )
    watchdog = Watchdog(
        deadline_seconds=settings.progress_deadline_seconds,
        busy_since=loaded.busy_since,
    )
    partials = Partials(around.consumer)
    pipeline = _pipeline(around, hand, keeper, throughput, partials)
    recycling = Recycling(settings, hand, throughput)
    claiming = _claiming(around, hand, pipeline, recycling)
    heartbeat = Heartbeat(
        settings,
        around.consumer,
        loaded.engine,
        hand,
        claiming,
        throughput,
        ResourceMeter(partial(gpu_use, loaded.engine.device)),
        _obstacles(around, pipeline),
        loaded.startup_seconds,
    )
    lease_watch = LeaseWatch(
        keeper,
        pipeline,
        claiming,
        watchdog,
        lease_seconds=settings.lease_seconds,
        progress_deadline_seconds=settings.progress_deadline_seconds,
    )
    return Components(
        pipeline,
        claiming,
        heartbeat,
        partials,
        lease_watch,
        keeper,
        watchdog,
        recycling,
        throughput,
    )


def _pipeline(
    around: Dependencies,
    hand: InFlightTasks,
    keeper: LeaseKeeper,
    throughput: Throughput,
    partials: Partials,
) -> Pipeline:
    settings, loaded, metrics = around.settings, around.loaded, around.metrics
    stages = Stages(metrics, keeper)
    store = StoreAccess(Store.open(settings.store_url))
    feed = BatchRunner(
        loaded.begin,
        loaded.engine.warm_up,
        loaded.thread,
        loaded.reader,
        BatchRules(seconds=batch_seconds_on(loaded.engine.device, settings.batch_size)),
        metrics=metrics,
        throughput=throughput,
        stages=stages,
        partials=partials,
        more_coming=lambda: any(task.preparing for task in hand),
    )
    processes = decoder_count(settings)
    return Pipeline(
        hand=hand,
        folder=around.folder,
        keeper=keeper,
        preparation=Preparation(
            settings, store, around.decoders, processes=processes, stages=stages
        ),
        feed=feed,
        stages=stages,
        reports=Reports(around.consumer),
        store=store,
        engine=loaded.engine,
        metrics=metrics,
        retry_limit=settings.retry_limit,
    )


def _obstacles(around: Dependencies, pipeline: Pipeline) -> Obstacles:
    checks = {"disk": around.folder.look, "store": lambda: pipeline.store.problem}
    return Obstacles(checks, around.metrics)


def _claiming(
    around: Dependencies, hand: InFlightTasks, pipeline: Pipeline, recycling: Recycling
) -> Claiming:
    settings = around.settings

    async def may_claim() -> bool:
        ready = not recycling.retiring and around.folder.has_room()
        return ready and await pipeline.store.usable()

    batch_seconds = batch_seconds_on(around.loaded.engine.device, settings.batch_size)

    def room() -> Capacity:
        most = settings.max_tasks_in_hand
        left = [task.left_seconds for task in hand]
        held = ((task.claim.task.lane, task.claim.task.tenant) for task in hand)
        return room_left(left, batch_seconds=batch_seconds, max_tasks=most) or room_kept(
            held, batch_seconds=batch_seconds, max_tasks=most
        )

    return Claiming(
        around.consumer,
        hand,
        room=room,
        may_claim=may_claim,
        begin=pipeline.begin,
        lease_seconds=settings.lease_seconds,
    )

"""Builds the parts of one worker process. Starts nothing and does no I/O."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

from asr_core.queue import Consumer, LeaseKeeper
from asr_core.store import Store
from asr_worker.attempts.claiming import Claiming
from asr_worker.attempts.lost_tasks import LostTasks
from asr_worker.attempts.pipeline import Pipeline
from asr_worker.attempts.preparation import Preparation
from asr_worker.attempts.reports import Reports
from asr_worker.attempts.scratch_dir import WorkFolder
from asr_worker.attempts.store_access import StoreAccess
from asr_worker.audio.decode_pool import DecodePool
from asr_worker.engines.base import Engine
from asr_worker.engines.gpu import gpu_use
from asr_worker.in_flight.capacity import Throughput, batch_seconds_on
from asr_worker.in_flight.obstacles import Obstacles
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTasks
from asr_worker.inference.batch_plan import BatchRules
from asr_worker.inference.batch_runner import MOST_RUNS, BatchRunner
from asr_worker.inference.engine_calls import EngineCalls, LoadedEngine
from asr_worker.inference.partial_results import PartialResults
from asr_worker.metrics import WorkerMetrics
from asr_worker.process.admission import Admission
from asr_worker.process.heartbeat import Heartbeat
from asr_worker.process.lease_watch import LeaseWatch
from asr_worker.process.recycling import Recycling
from asr_worker.process.resource_usage import ResourceMeter
from asr_worker.process.watchdog import Watchdog
from asr_worker.settings import WorkerSettings

_LEAST_DECODERS, _MOST_DECODERS = 2, 8


def decoder_count(settings: WorkerSettings) -> int:
    """Decoders for ordinary work, without the reserved one: as configured, else half of the CPUs,
    since the engine needs the others. At least two, so that a long recording leaves one free.
    """
    half = (os.cpu_count() or 1) // 2
    return settings.decode_processes or max(_LEAST_DECODERS, min(_MOST_DECODERS, half))


def _batch_seconds(settings: WorkerSettings, engine: Engine) -> float:
    """Padded audio-seconds of a batch; for a model server, what it has at once."""
    if engine.server is None:
        window_seconds = engine.computed_seconds(0.0)
        return batch_seconds_on(engine.device, settings.batch_size, window_seconds=window_seconds)
    return settings.batch_size or engine.server.requests_at_once * settings.segment_max_seconds


class WorkerProgram:
    """All parts of a worker, each built from those before it, on the event loop they will run on.

    Loops are methods named `run`; the keeper and the watchdog are threads. The consumer, the
    engine, the decoders and the folder belong to the caller, who closes them.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        consumer: Consumer,
        loaded: LoadedEngine,
        decoders: DecodePool,
        folder: WorkFolder,
        metrics: WorkerMetrics,
    ) -> None:
        self._settings, self._consumer, self._loaded = settings, consumer, loaded
        self._folder, self._metrics = folder, metrics
        self._server = loaded.engine.server
        self._batch_seconds = _batch_seconds(settings, loaded.engine)
        self._store = StoreAccess(Store.open(settings.store_url))
        self.in_flight, self.throughput = InFlightTasks(), Throughput()
        self.lost_tasks = LostTasks(self.in_flight, metrics)
        self.keeper = LeaseKeeper(
            settings,
            settings,
            consumer=consumer.name,
            progress_deadline_seconds=settings.progress_deadline_seconds,
            on_lost=self.lost_tasks.report,
        )
        self._stages = Stages(metrics, self.keeper)
        self.partial_results = PartialResults(consumer)
        self.batch_runner = self._build_batch_runner()
        self.reports = Reports(consumer)
        self.pipeline = self._build_pipeline(decoders)
        self.recycling = Recycling(settings, self.in_flight, self.throughput)
        self.claiming = self._build_claiming()
        self.watchdog = Watchdog(
            deadline_seconds=settings.progress_deadline_seconds, busy_since=loaded.busy_since
        )
        self.lease_watch = self._build_lease_watch()
        self.heartbeat = self._build_heartbeat()

    def _build_batch_runner(self) -> BatchRunner:
        engine = EngineCalls(
            self._loaded,
            metrics=self._metrics,
            throughput=self.throughput,
            stages=self._stages,
        )
        rules, most_runs = BatchRules(seconds=self._batch_seconds), MOST_RUNS
        if self._server is not None:
            rules, most_runs = replace(rules, max_segments=1), self._server.requests_at_once
        return BatchRunner(
            engine,
            rules,
            in_flight=self.in_flight,
            stages=self._stages,
            partial_results=self.partial_results,
            most_runs=most_runs,
        )

    def _build_pipeline(self, decoders: DecodePool) -> Pipeline:
        preparation = Preparation(
            self._settings,
            self._store,
            decoders,
            processes=decoder_count(self._settings),
            stages=self._stages,
            detector=self._loaded.detector,
        )
        return Pipeline(
            in_flight=self.in_flight,
            folder=self._folder,
            keeper=self.keeper,
            preparation=preparation,
            batch_runner=self.batch_runner,
            stages=self._stages,
            reports=self.reports,
            store=self._store,
            engine=self._loaded.engine,
            metrics=self._metrics,
            retry_limit=self._settings.retry_limit,
        )

    def _build_claiming(self) -> Claiming:
        admission = Admission(
            self.in_flight,
            self._folder,
            self._store,
            self.recycling,
            self._server_problem,
            self._batch_seconds,
            self._settings.max_tasks_in_hand,
        )
        return Claiming(
            self._consumer,
            self.in_flight,
            capacity=admission.capacity,
            may_claim=admission.may_claim,
            start=self.pipeline.start,
            lease_seconds=self._settings.lease_seconds,
        )

    def _build_lease_watch(self) -> LeaseWatch:
        return LeaseWatch(
            self.keeper,
            self.in_flight,
            self._stages,
            self.lost_tasks,
            self.claiming,
            self.watchdog,
            lease_seconds=self._settings.lease_seconds,
            progress_deadline_seconds=self._settings.progress_deadline_seconds,
        )

    def _build_heartbeat(self) -> Heartbeat:
        checks = {
            "disk": self._folder.check,
            "store": lambda: self._store.problem,
            "server": self._server_problem,
        }
        return Heartbeat(
            self._settings,
            self._consumer,
            self._loaded.engine,
            self.in_flight,
            self.claiming,
            self.throughput,
            ResourceMeter(partial(gpu_use, self._loaded.engine.device)),
            Obstacles(checks, self._metrics),
            self._loaded.startup_seconds,
        )

    def _server_problem(self) -> str:
        return self._server.problem if self._server else ""

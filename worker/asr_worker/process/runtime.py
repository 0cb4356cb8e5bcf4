"""One worker process: starts its parts, waits for the stop signal, and drains.

`run_worker` is the entry for programs that bring their own event loop; `main` is the command.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from asr_core.backoff import backoff_seconds
from asr_core.errors import AsrError, DependencyError, PermissionMissing, SchemaMismatch
from asr_core.process.logs import get_logger
from asr_core.queue import Consumer, Outcome, RedisConnection
from asr_worker.attempts.decoder_queue import RESERVED_DECODERS
from asr_worker.attempts.scratch_dir import WorkFolder
from asr_worker.audio.decode_pool import DecodePool
from asr_worker.engines.base import Engine, PendingTexts, SegmentAudio
from asr_worker.in_flight.capacity import batch_seconds_on
from asr_worker.inference.engine_calls import LoadedEngine
from asr_worker.inference.engine_thread import EngineThread
from asr_worker.inference.fault_isolation import EngineBroken
from asr_worker.metrics import WorkerMetrics
from asr_worker.process.composition import WorkerProgram, decoder_count
from asr_worker.process.drain import REPORT_SECONDS, drain
from asr_worker.process.pod_server import PodServer
from asr_worker.settings import WorkerSettings

Result = TypeVar("Result")
_log = get_logger(__name__)


async def run_worker(settings: WorkerSettings, *, stop: asyncio.Event | None = None) -> int:
    """Works until `stop` is set, then drains; if cancelled, releases all tasks at once.

    Returns 0 after a drain, and when a fresh process is to take over; 1 when it could not start or
    cannot go on. A daemon thread may be left behind with a batch that cannot be interrupted.
    """
    stop = stop or asyncio.Event()
    try:
        async with AsyncExitStack() as stack:
            folder = WorkFolder(settings.work_dir)
            stack.callback(folder.close)
            decoders = _decoders(settings, stack)
            loaded = await _unless_stopped(_load_engine(settings), stop)
            if loaded is None:
                return 0
            stack.callback(loaded.thread.stop)
            stack.callback(loaded.reader.stop)
            metrics = WorkerMetrics(CollectorRegistry())
            if server := loaded.engine.server:
                stack.callback(server.close)
                server.publish(metrics)
            consumer = _consumer(settings, stack)
            pod_server = _pod_server(settings, metrics, stack)
            if await _unless_stopped(_join(consumer), stop) is None:
                return 0
            stack.push_async_callback(_leave, consumer)
            program = WorkerProgram(settings, consumer, loaded, decoders, folder, metrics)
            if pod_server:
                pod_server.watch(program.watchdog.trouble)
            return await _work(settings, program, stop)
    except AsrError as error:
        _log.critical("the worker cannot run", code=error.code, reason=error.message)
        return 1


def _decoders(settings: WorkerSettings, stack: AsyncExitStack) -> DecodePool:
    """Decoders start while the model loads. A hung one is killed before its task is stuck."""
    stall_seconds = settings.progress_deadline_seconds / 2
    decoders = DecodePool(decoder_count(settings) + RESERVED_DECODERS, stall_seconds=stall_seconds)
    stack.callback(decoders.close)
    decoders.warm_up()
    return decoders


async def _load_engine(settings: WorkerSettings) -> LoadedEngine:
    """Loads and warms up the model on the thread that will own it; torch is imported there."""
    thread = EngineThread()
    started = time.monotonic()

    def load() -> LoadedEngine:
        from asr_worker.engines.choose import load_engine
        from asr_worker.engines.choose_detector import load_detector
        from asr_worker.engines.memory import BatchBudget, submit_within_memory

        detector = load_detector(settings)  # first: it is quick, and may not be there
        engine = load_engine(settings)
        window_seconds = engine.computed_seconds(0.0)
        budget = BatchBudget(
            batch_seconds_on(engine.device, settings.batch_size, window_seconds=window_seconds)
        )

        def submit(batch: Sequence[SegmentAudio]) -> PendingTexts:
            return submit_within_memory(engine, batch, budget)

        seconds = time.monotonic() - started
        return LoadedEngine(engine, detector, thread, _reader(engine), submit, seconds)

    loaded = await thread.call(load)
    _log.info(
        "engine ready",
        engine=loaded.engine.name,
        model=loaded.engine.model_id,
        device=loaded.engine.device,
        vad=loaded.detector.name,
        seconds=round(loaded.startup_seconds, 2),
    )
    return loaded


def _reader(engine: Engine) -> EngineThread:
    """Texts of a model server are waited for, many at once and in the order in which they come."""
    return EngineThread("texts", count=engine.server.requests_at_once if engine.server else 1)


def _consumer(settings: WorkerSettings, stack: AsyncExitStack) -> Consumer:
    """This process at the queue, under a name of its own."""
    connection = RedisConnection(settings, retries=0)
    stack.push_async_callback(connection.close)
    worker = settings.worker_name or socket.gethostname()
    name = f"{worker}-{secrets.token_hex(4)}"
    return Consumer(connection, settings, pool=settings.pool, name=name, worker=worker)


def _pod_server(
    settings: WorkerSettings, metrics: WorkerMetrics, stack: AsyncExitStack
) -> PodServer | None:
    if not settings.metrics_port:
        return None
    server = PodServer(settings.metrics_address, settings.metrics_port, metrics.registry)
    stack.callback(server.close)
    return server


async def _join(consumer: Consumer) -> bool:
    """Waits for Redis, however long. Raises SchemaMismatch, PermissionMissing."""
    failures = 0
    while True:
        try:
            await consumer.prepare()
            return True
        except (SchemaMismatch, PermissionMissing):
            raise
        except DependencyError as error:
            _log.warning("waiting for Redis", error=str(error), failures=failures + 1)
            await asyncio.sleep(backoff_seconds(failures, first=0.2, most=5.0))
            failures += 1


async def _leave(consumer: Consumer) -> None:
    with suppress(DependencyError):
        await consumer.leave()


async def _work(settings: WorkerSettings, program: WorkerProgram, stop: asyncio.Event) -> int:
    program.keeper.start()
    program.watchdog.start()
    await program.heartbeat.beat()
    claiming = asyncio.create_task(program.claiming.run(), name="claiming")
    loops = [
        asyncio.create_task(run(), name=name)
        for name, run in {
            "batch_runner": program.batch_runner.run,
            "reports": program.reports.run,
            "heartbeat": program.heartbeat.run,
            "partial_results": program.partial_results.run,
            "lease_watch": program.lease_watch.run,
        }.items()
    ]
    ends: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
    if settings.recycles:
        ends.append(asyncio.create_task(program.recycling.run()))
    try:
        healthy = await _until_over([claiming, *loops], ends, program)
        await _end(program, claiming, settings.grace_seconds if healthy else 0.0)
        return 0 if healthy else 1
    except asyncio.CancelledError:
        await _end(program, claiming, 0.0)
        raise
    finally:
        program.keeper.stop()
        program.watchdog.stop()
        for loop in (*loops, *ends):
            loop.cancel()
        await asyncio.gather(claiming, *loops, *ends, return_exceptions=True)


async def _until_over(
    loops: list[asyncio.Task[None]], ends: list[asyncio.Task[Any]], program: WorkerProgram
) -> bool:
    """True once the process is to end; False if a loop has failed."""
    await asyncio.wait([*ends, *loops], return_when=asyncio.FIRST_COMPLETED)
    if any(end.done() and not end.exception() for end in ends):
        return True
    for loop in (*loops, *ends):
        error = loop.exception() if loop.done() else None
        if error is not None:
            _log.critical("cannot go on", loop=loop.get_name(), exc_info=error)
        if isinstance(error, EngineBroken):
            program.lost_tasks.abandon(error.culprits, Outcome.FENCED)
    return False


async def _end(program: WorkerProgram, claiming: asyncio.Task[None], grace_seconds: float) -> None:
    """Stops claiming and finishes or releases the tasks in flight."""
    program.claiming.stop()
    await asyncio.wait([claiming], timeout=REPORT_SECONDS)
    claiming.cancel()
    if program.claiming.must_recover:
        with suppress(DependencyError, TimeoutError):
            await asyncio.wait_for(program.claiming.recover(), REPORT_SECONDS)
    await drain(program.pipeline, program.throughput, grace_seconds=grace_seconds)


async def _unless_stopped(work: Coroutine[Any, Any, Result], stop: asyncio.Event) -> Result | None:
    """The result of `work`, or None if `stop` was set before it was done."""
    working = asyncio.create_task(work)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        working.cancel()
        stopped.cancel()

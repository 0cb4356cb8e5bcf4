"""Carries each task in hand from its claim to its report; one coroutine per task.

It decides nothing about the queue: claims come from `claiming`, what an error means is in
`verdict`, what runs together in `batching`.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from asr_core.process.logs import business_event, get_logger
from asr_core.queue import Claim, Failure, Finish, LeaseKeeper, Outcome
from asr_core.result import Transcript
from asr_core.task import State, result_path
from asr_worker.attempts.failure_policy import FailurePolicy, Fate, failure_policy
from asr_worker.attempts.preparation import Preparation
from asr_worker.attempts.reports import HandBack, Reports
from asr_worker.attempts.scratch_dir import WorkFolder
from asr_worker.attempts.store_access import StoreAccess
from asr_worker.engines.base import Engine
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTask, InFlightTasks, Stage
from asr_worker.inference.batch_runner import BatchRunner
from asr_worker.metrics import WorkerMetrics
from asr_worker.transcript.assemble import assemble

_log = get_logger(__name__)


@dataclass(frozen=True)
class Pipeline:
    """`begin` takes claims in; `lose`, `abandon` and `hand_back` end tasks before their time."""

    hand: InFlightTasks
    folder: WorkFolder
    keeper: LeaseKeeper
    preparation: Preparation
    feed: BatchRunner
    stages: Stages
    reports: Reports
    store: StoreAccess
    engine: Engine
    metrics: WorkerMetrics
    retry_limit: int

    def begin(self, claims: Sequence[Claim]) -> None:
        """Takes claimed tasks in hand and starts on them."""
        for claim in claims:
            task_id = claim.task.task_id
            self.keeper.hold(task_id, claim.token)
            task = InFlightTask(claim, self.folder.for_task(task_id), claim.task.duration_seconds)
            self.hand.add(task)
            task.work = asyncio.create_task(self._carry(task))

    def lose(self, task_id: str, token: str, outcome: Outcome) -> None:
        """The queue says that this attempt no longer counts: everything of it is dropped."""
        if task := self.hand.find(task_id, token):
            self.abandon([task], outcome)

    def abandon(self, tasks: Iterable[InFlightTask], outcome: Outcome) -> None:
        """Drops tasks without a report; one that is being reported awaits the queue's answer."""
        for task in tasks:
            if task.lost is not None:
                continue
            task.lost = outcome
            if not task.reporting and task.work is not None:
                if outcome is not Outcome.CANCELLED:
                    self.metrics.leases_lost.inc()
                _log.warning("task lost", task_id=task.task_id, outcome=outcome, stage=task.stage)
                task.work.cancel()

    async def hand_back(self, tasks: Iterable[InFlightTask]) -> None:
        """Stops work on tasks and gives them back to the queue, attempts refunded."""
        given = [task for task in tasks if task.lost is None]
        works = [task.work for task in given if task.work is not None]
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        reports = (self.reports.send(task, HandBack(*task.key)) for task in given)
        outcomes = await asyncio.gather(*reports)
        if given:
            _log.info("handed back", tasks=outcomes.count(Outcome.OK), of=len(given))

    async def _carry(self, task: InFlightTask) -> None:
        claimed = task.claim.task
        structlog.contextvars.bind_contextvars(task_id=task.task_id, attempt=claimed.attempt)
        if claimed.started_at is not None:
            wait_seconds = max(0.0, claimed.started_at - claimed.queued_at)
            self.metrics.task_wait_seconds.observe(wait_seconds)
        try:
            await self._work(task)
        except Exception as error:
            await self._give_up(task, error)
        finally:
            self.keeper.drop(*task.key)
            self.hand.remove(task)
            # Not awaited: freeing a gigabyte takes a moment, and at the end the whole folder goes.
            loop = asyncio.get_running_loop()
            removed = loop.run_in_executor(
                None, lambda: shutil.rmtree(task.folder, ignore_errors=True)
            )
            if task.disk is not None:
                share = task.disk
                removed.add_done_callback(lambda _: share.free())

    async def _work(self, task: InFlightTask) -> None:
        task.folder.mkdir()
        recording = await self.preparation.prepare(task)
        self.stages.enter(task, Stage.BATCH_WAIT)
        placed = await self.feed.transcribe(task, recording)
        self.stages.enter(task, Stage.ASSEMBLE)

        def result() -> tuple[Transcript, bytes]:
            seconds = recording.pcm.duration_seconds
            transcript = assemble(
                placed,
                duration_seconds=seconds,
                engine=self.engine,
                options=task.claim.task.options,
                warnings=recording.pcm.warnings,
            )
            return transcript, transcript.model_dump_json().encode()

        transcript, data = await asyncio.to_thread(result)
        self.stages.enter(task, Stage.FINISH)
        await self._finish(task, transcript, data)

    async def _finish(self, task: InFlightTask, transcript: Transcript, data: bytes) -> None:
        path = result_path(task.task_id, task.claim.task.attempt)
        await self.store.put(task, path, data)
        seconds = time.monotonic() - task.claimed_at
        outcome = await self.reports.send(
            task, Finish(*task.key, path, seconds, transcript.duration_seconds)
        )
        self.stages.leave(task)
        if outcome is Outcome.OK:
            self._completed(task, transcript, seconds)
        elif outcome is None:
            _log.warning("lease lost before the result was recorded", result=path)
        else:
            self.metrics.fenced_results.inc()
            _log.warning("result refused", outcome=outcome)
            await self.store.delete(path)

    def _completed(self, task: InFlightTask, transcript: Transcript, seconds: float) -> None:
        if transcript.warnings:
            _log.warning(
                "recording not wholly readable",
                warnings=[warning.message for warning in transcript.warnings],
                audio_seconds=transcript.duration_seconds,
            )
        self.hand.done_count += 1
        self.metrics.tasks_finished.labels(State.COMPLETED).inc()
        self.metrics.task_duration_seconds.observe(seconds)
        self.metrics.audio_seconds.inc(transcript.duration_seconds)
        known = task.claim.task
        self.metrics.count_tenant_audio(known.tenant, transcript.duration_seconds)
        business_event(
            "task_completed",
            tenant=task.claim.task.tenant,
            pool=task.claim.task.pool,
            lane=task.claim.task.lane,
            audio_seconds=transcript.duration_seconds,
            processing_seconds=round(seconds, 3),
            segments=len(transcript.segments),
            warnings=len(transcript.warnings),
            language=transcript.language,
        )

    async def _give_up(self, task: InFlightTask, error: Exception) -> None:
        verdict = failure_policy(error)
        _log.warning(
            "task not done",
            fate=verdict.fate,
            code=verdict.code,
            reason=verdict.message,
            stage=task.stage,
            exc_info=error if verdict.fate is not Fate.PERMANENT else None,
        )
        task.stage = Stage.FINISH
        try:
            outcome = await self.reports.send(task, _report(task, verdict))
        except Exception:
            _log.exception("report refused; the lease will run out")
            return
        claimed = task.claim.task
        is_last = claimed.transient_failures >= self.retry_limit
        if outcome is Outcome.OK and (
            verdict.fate is Fate.PERMANENT or (verdict.fate is Fate.TRANSIENT and is_last)
        ):
            self.metrics.tasks_finished.labels(State.FAILED).inc()
            business_event(
                "task_failed",
                tenant=claimed.tenant,
                pool=claimed.pool,
                lane=claimed.lane,
                code=verdict.code,
            )


def _report(task: InFlightTask, verdict: FailurePolicy) -> HandBack | Failure:
    if verdict.fate is Fate.HAND_BACK:
        return HandBack(*task.key)
    return Failure(
        *task.key,
        code=verdict.code,
        message=verdict.message,
        permanent=verdict.fate is Fate.PERMANENT,
    )

"""Takes each task from its claim to its report; one coroutine per task.

Claims come from `claiming`, the policy for errors from `failure_policy`, batches from
`inference.batch_runner`.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from asr_core.errors import ModelCannotTranslate, RetryPolicy
from asr_core.process.logs import business_event, get_logger
from asr_core.queue import Claim, Failure, Finish, LeaseKeeper, Outcome
from asr_core.result import Transcript
from asr_core.task import State, result_path
from asr_worker.attempts.failure_policy import FailurePolicy, failure_policy
from asr_worker.attempts.preparation import Preparation
from asr_worker.attempts.reports import Release, Reports
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
    """`start` begins work on claims; `release` gives unfinished tasks back to the queue."""

    in_flight: InFlightTasks
    folder: WorkFolder
    keeper: LeaseKeeper
    preparation: Preparation
    batch_runner: BatchRunner
    stages: Stages
    reports: Reports
    store: StoreAccess
    engine: Engine
    metrics: WorkerMetrics
    retry_limit: int

    def start(self, claims: Sequence[Claim]) -> None:
        """Starts one coroutine per claimed task."""
        for claim in claims:
            task_id = claim.task.task_id
            self.keeper.hold(task_id, claim.token)
            task = InFlightTask(claim, self.folder.for_task(task_id), claim.task.duration_seconds)
            self.in_flight.add(task)
            task.work = asyncio.create_task(self._carry(task))

    async def release(self, tasks: Iterable[InFlightTask]) -> None:
        """Stops work on tasks and releases them to the queue, with their attempts refunded."""
        released = [task for task in tasks if task.lost is None]
        works = [task.work for task in released if task.work is not None]
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        reports = (self.reports.send(task, Release(*task.key)) for task in released)
        outcomes = await asyncio.gather(*reports)
        if released:
            _log.info("tasks released", tasks=outcomes.count(Outcome.OK), of=len(released))

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
            self.in_flight.remove(task)
            # Not awaited: removing a gigabyte takes time, and the whole folder is removed at exit.
            loop = asyncio.get_running_loop()
            removed = loop.run_in_executor(
                None, lambda: shutil.rmtree(task.folder, ignore_errors=True)
            )
            if task.disk is not None:
                share = task.disk
                removed.add_done_callback(lambda _: share.free())

    async def _work(self, task: InFlightTask) -> None:
        self._require_applicable(task)
        task.folder.mkdir()
        recording = await self.preparation.prepare(task)
        self.stages.enter(task, Stage.BATCH_WAIT)
        results = await self.batch_runner.transcribe(task, recording)
        self.stages.enter(task, Stage.ASSEMBLE)

        def result() -> tuple[Transcript, bytes]:
            seconds = recording.pcm.duration_seconds
            transcript = assemble(
                results,
                duration_seconds=seconds,
                engine=self.engine,
                options=task.claim.task.options,
                warnings=recording.pcm.warnings,
                speech_seconds=recording.speech_seconds,
            )
            return transcript, transcript.model_dump_json().encode()

        transcript, data = await asyncio.to_thread(result)
        self.stages.enter(task, Stage.FINISH)
        await self._finish(task, transcript, data)

    def _require_applicable(self, task: InFlightTask) -> None:
        """Raises ModelCannotTranslate: its pool had no workers to ask when it was submitted, or has
        other ones since.
        """
        if task.claim.task.options.refused(self.engine.supports):
            raise ModelCannotTranslate(
                f"The model {self.engine.model_id!r} of pool {task.claim.task.pool!r} does not "
                "translate, and its transcript would not be the translation asked for."
            )

    async def _finish(self, task: InFlightTask, transcript: Transcript, data: bytes) -> None:
        path = result_path(task.task_id, task.claim.task.attempt)
        await self.store.put(task, path, data)
        seconds = time.monotonic() - task.claimed_at
        outcome = await self.reports.send(
            task,
            Finish(
                *task.key, path, seconds, transcript.duration_seconds, transcript.speech_seconds
            ),
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
        self.in_flight.done_count += 1
        self.metrics.tasks_finished.labels(State.COMPLETED).inc()
        self.metrics.task_duration_seconds.observe(seconds)
        self.metrics.audio_seconds.inc(transcript.duration_seconds)
        speech_seconds = transcript.speech_seconds or 0.0
        self.metrics.speech_seconds.inc(speech_seconds)
        known = task.claim.task
        self.metrics.count_tenant_audio(known.tenant, transcript.duration_seconds)
        business_event(
            "task_completed",
            tenant=task.claim.task.tenant,
            pool=task.claim.task.pool,
            lane=task.claim.task.lane,
            audio_seconds=transcript.duration_seconds,
            speech_seconds=speech_seconds,
            processing_seconds=round(seconds, 3),
            segments=len(transcript.segments),
            warnings=len(transcript.warnings),
            language=transcript.language,
        )

    async def _give_up(self, task: InFlightTask, error: Exception) -> None:
        policy = failure_policy(error)
        _log.warning(
            "task not done",
            fate=policy.policy.value,
            code=policy.code,
            reason=policy.message,
            stage=task.stage,
            exc_info=error if policy.policy is not RetryPolicy.PERMANENT else None,
        )
        task.stage = Stage.FINISH
        try:
            outcome = await self.reports.send(task, _report(task, policy))
        except Exception:
            _log.exception("report refused; the lease will run out")
            return
        claimed = task.claim.task
        is_last = claimed.transient_failures >= self.retry_limit
        if outcome is Outcome.OK and (
            policy.policy is RetryPolicy.PERMANENT
            or (policy.policy is RetryPolicy.TRANSIENT and is_last)
        ):
            self.metrics.tasks_finished.labels(State.FAILED).inc()
            business_event(
                "task_failed",
                tenant=claimed.tenant,
                pool=claimed.pool,
                lane=claimed.lane,
                code=policy.code,
            )


def _report(task: InFlightTask, policy: FailurePolicy) -> Release | Failure:
    if policy.policy is RetryPolicy.POSTPONE:
        return Release(*task.key)
    return Failure(
        *task.key,
        code=policy.code,
        message=policy.message,
        permanent=policy.policy is RetryPolicy.PERMANENT,
    )

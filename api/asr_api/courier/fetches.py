"""Fetches recordings from URLs; like an upload: spool, probe, store, queue."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from structlog.contextvars import bound_contextvars

from asr_api.courier.download import DownloadLimits, download
from asr_api.courier.errors import FetchBroken
from asr_api.courier.job_runner import reserved_slots
from asr_api.courier.metrics import CourierMetrics
from asr_api.egress.http_client import Egress
from asr_api.probe.pool import ProbePool
from asr_api.settings.courier import CourierSettings
from asr_api.uploads.spool import Spool
from asr_core.errors import (
    AsrError,
    QueueUnavailable,
    RetryPolicy,
)
from asr_core.process.logs import business_event, get_logger
from asr_core.queue import Fetch, Fetching, Outcome
from asr_core.store import Store
from asr_core.task import State, audio_path

_log = get_logger("asr_api.courier.fetches")


class Fetches:
    """Fetch jobs: take tasks in state `fetching`, download each under a renewed lease."""

    name = "fetches"

    def __init__(
        self,
        fetching: Fetching,
        egress: Egress,
        spool: Spool,
        probes: ProbePool,
        store: Store,
        metrics: CourierMetrics,
        settings: CourierSettings,
    ) -> None:
        self._fetching = fetching
        self._egress = egress
        self._spool = spool
        self._probes = probes
        self._store = store
        self._metrics = metrics
        self._settings = settings
        self._limits = DownloadLimits(
            max_bytes=settings.max_upload_bytes,
            idle_seconds=settings.fetch_idle_seconds,
            total_seconds=settings.fetch_timeout_seconds,
            window_seconds=settings.fetch_rate_window_seconds,
            window_bytes=round(
                settings.fetch_min_bytes_per_second * settings.fetch_rate_window_seconds
            ),
        )

    async def take(self, limit: int, busy: Mapping[str, int]) -> Sequence[Fetch]:
        return await self._fetching.take(
            token=secrets.token_hex(8),
            limit=limit,
            per_destination=self._settings.fetches_per_host,
            reserved=reserved_slots(self._settings.fetches_at_once),
            busy=busy,
        )

    async def run(self, fetch: Fetch) -> None:
        """Fetch one recording while renewing its lease."""
        with bound_contextvars(task_id=fetch.task.task_id):
            work = asyncio.create_task(self._fetch(fetch))
            lease = asyncio.create_task(self._renew_lease(fetch))
            try:
                await asyncio.wait({work, lease}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    self._record("dropped", reason=lease.result())
                    return
                await self._report(fetch, work)
            except asyncio.CancelledError:  # shutdown: another courier may start at once
                await _cancel(work, lease)
                await self._fetching.failed(
                    fetch, RetryPolicy.POSTPONE, code="", message="", backoff_seconds=0
                )
                raise
            finally:
                await _cancel(work, lease)

    async def _fetch(self, fetch: Fetch) -> Outcome:
        task = fetch.task
        async with self._spool.file(task.tenant) as file:
            await download(self._egress, task.source_url, file, self._limits)
            report = await self._probes.probe(file.path, task.options.track, tenant=task.tenant)
            await self._store.put_file(audio_path(task.task_id), file.path)
            outcome = await self._fetching.fetched(
                fetch,
                size_bytes=file.size,
                duration_seconds=report.duration_seconds,
                content_type=report.content_type,
            )
        if outcome is Outcome.GONE:  # the task was deleted during the fetch
            await self._store.delete(audio_path(task.task_id))
        return outcome

    async def _renew_lease(self, fetch: Fetch) -> str:
        """Renew until the lease is lost; returns why."""
        lease_seconds = self._settings.lease_seconds
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while True:
            await asyncio.sleep(lease_seconds / 3)
            try:
                outcome = await self._fetching.renew(fetch)
            except QueueUnavailable:
                if loop.time() - renewed_at > lease_seconds:
                    return "Redis is away"
                continue
            if outcome is not Outcome.OK:
                return outcome.value
            renewed_at = loop.time()

    async def _report(self, fetch: Fetch, work: asyncio.Task[Outcome]) -> None:
        error = work.exception()
        if error is None:
            outcome = work.result()
            if outcome is Outcome.OK:
                self._record("fetched")
            else:
                self._record("dropped", reason=outcome.value)
            return
        if not isinstance(error, AsrError):
            _log.error("fetch_broken", exc_info=error)
            error = FetchBroken("The recording could not be fetched, for a reason of the server's.")
        state = await self._fetching.failed(
            fetch,
            error.retry_policy,
            code=error.code,
            message=error.message,
            not_before_seconds=error.retry_after_seconds or 0,
        )
        if state is State.FAILED:
            business_event("task_failed", task_id=fetch.task.task_id, code=error.code)
            self._record("failed", code=error.code, reason=error.message, cause=_cause(error))
        elif state is None:
            self._record("dropped", reason="it has ended meanwhile")
        else:
            postponed = error.retry_policy is RetryPolicy.POSTPONE
            self._record(
                "postponed" if postponed else "retried",
                code=error.code, reason=error.message, cause=_cause(error),
            )  # fmt: skip

    def _record(self, outcome: str, **fields: object) -> None:
        self._metrics.fetches.labels(outcome=outcome).inc()
        _log.info(f"fetch_{outcome}", **fields)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _cause(error: AsrError) -> str | None:
    """Detail for the log only."""
    return str(error.__cause__) if error.__cause__ else None

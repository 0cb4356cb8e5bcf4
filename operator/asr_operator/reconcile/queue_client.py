"""The Redis of one pool: connects through its Secret, reads the queue, cordons workers.

Every failure to read it is the signal `UNREACHABLE`, never an empty queue and never an exception.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from asr_core.errors import AsrError, ClusterUnavailable
from asr_core.process.logs import get_logger
from asr_core.queue import BacklogReader, RedisConnection, WorkerRecord
from asr_core.queue.workers import cordon
from asr_core.settings.redis import RedisSettings
from asr_operator.cluster.objects import Cluster
from asr_operator.planning.observation import (
    ARRIVALS_MINUTES,
    Arrivals,
    QueueObservation,
    Signal,
)
from asr_operator.planning.spec import PoolSpec, RedisRef
from asr_operator.settings import OperatorSettings

SECRET_SECONDS = 30.0
_log = get_logger(__name__)


@dataclass(frozen=True)
class QueueSnapshot:
    """The backlog, the pool's workers, and the number of tasks in flight by consumer."""

    queue: QueueObservation
    workers: tuple[WorkerRecord, ...] = ()
    in_flight: tuple[tuple[str, int], ...] = ()


class PoolQueue:
    """One connection, replaced when the Secret changes. Must be closed."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        settings: OperatorSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._settings = settings
        self._clock = clock
        self._files = tempfile.TemporaryDirectory(prefix="asr-operator-")
        self._location_in_use: tuple[str, ...] | None = None
        self._ref: RedisRef | None = None
        self._asked_at = float("-inf")
        self._connection: RedisConnection | None = None
        self._is_ready = False

    async def observe(self, spec: PoolSpec) -> QueueSnapshot:
        """Never raises: if Redis cannot be read, `queue.signal` is `UNREACHABLE`."""
        try:
            reader = await self._reader(spec.redis)
            backlog = await reader.read(spec.pool)
            buckets = await reader.stats(spec.pool, minutes=ARRIVALS_MINUTES)
            workers = await reader.workers(spec.pool)
            in_flight = await reader.in_flight(spec.pool)
        except Exception as error:  # any failure holds the replicas; none may stop the loop
            self._asked_at = float("-inf")  # read the Secret again: the password may have changed
            if not isinstance(error, AsrError):
                _log.warning("queue not read", pool=spec.pool, exc_info=True)
            return QueueSnapshot(QueueObservation.unreachable(str(error)))
        return QueueSnapshot(
            queue=QueueObservation(
                signal=Signal(backlog.signal),
                trusted=backlog.trusted,
                waiting=backlog.waiting,
                in_flight=backlog.in_flight,
                orphans=backlog.orphans,
                delayed=backlog.delayed,
                delayed_due=backlog.delayed_due,
                oldest_wait_seconds=backlog.oldest_wait_seconds,
                audio_seconds=backlog.audio_seconds,
                arrivals=tuple(Arrivals(b.at, b.queued, b.arrival_seconds) for b in buckets),
            ),
            workers=tuple(workers),
            in_flight=tuple(in_flight.items()),
        )

    async def cordon(self, consumers: tuple[str, ...], *, cordoned: bool) -> None:
        """Raises `QueueUnavailable`."""
        if consumers and self._connection is not None:
            await cordon(self._connection, list(consumers), cordoned=cordoned)

    async def in_flight(self, spec: PoolSpec) -> dict[str, int]:
        """Tasks in flight by consumer. Raises `QueueUnavailable`."""
        return await (await self._reader(spec.redis)).in_flight(spec.pool)

    async def workers_of_other_pools(self, spec: PoolSpec) -> list[WorkerRecord]:
        """Workers of every other pool that is configured on the same Redis."""
        reader = await self._reader(spec.redis)
        others = [pool for pool in await reader.known_pools() if pool != spec.pool]
        return [worker for pool in others for worker in await reader.workers(pool)]

    async def close(self) -> None:
        """Closes the connection and removes the certificate file."""
        if self._connection is not None:
            await self._connection.close()
        self._connection = None
        self._files.cleanup()

    async def _reader(self, ref: RedisRef) -> BacklogReader:
        if ref != self._ref or self._clock() - self._asked_at >= SECRET_SECONDS:
            try:
                await self._connect(ref)
            except ClusterUnavailable as error:
                if ref != self._ref or self._connection is None:
                    raise
                _log.warning("secret not read again", error=error.message)
        assert self._connection is not None
        if not self._is_ready:
            await self._connection.ready()
            self._is_ready = True
        return BacklogReader(self._connection, self._settings)

    async def _connect(self, ref: RedisRef) -> None:
        location = await self._location(ref)
        if location != self._location_in_use:
            if self._connection is not None:
                await self._connection.close()
            self._connection, self._is_ready = None, False
            self._connection = RedisConnection(self._redis_settings(ref, *location))
        self._location_in_use, self._ref, self._asked_at = location, ref, self._clock()

    async def _location(self, ref: RedisRef) -> tuple[str, ...]:
        """URL, certificate authority and key prefix; empty without a Secret."""
        if ref.url_secret_ref is None:
            return ()
        url = await self._cluster.secret_text(self._namespace, ref.url_secret_ref)
        authority = ""
        if ref.ca_secret_ref is not None:
            authority = await self._cluster.secret_text(self._namespace, ref.ca_secret_ref)
        if not url:
            raise ClusterUnavailable(_refused(ref, "the Redis URL is empty"))
        return url, authority, ref.key_prefix

    def _redis_settings(
        self, ref: RedisRef, url: str = "", authority: str = "", key_prefix: str = ""
    ) -> RedisSettings:
        if not url:
            return self._settings
        ca_file = None
        if authority:
            ca_file = Path(self._files.name) / f"ca-{time.monotonic_ns()}.crt"
            ca_file.write_text(authority)
        # Set every field: the operator's own environment must not apply to another pool's Redis.
        own = {name: field.default for name, field in RedisSettings.model_fields.items()}
        given = {
            "url": url,
            "ca_file": ca_file,
            "key_prefix": key_prefix,
            "timeout_seconds": self._settings.timeout_seconds,
            "max_connections": self._settings.max_connections,
        }
        try:
            return RedisSettings(_env_file=None, **{**own, **given})
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ClusterUnavailable(_refused(ref, reason)) from None


def _refused(ref: RedisRef, reason: str) -> str:
    """Error message about the value in the pool's Secret."""
    assert ref.url_secret_ref is not None
    return f"Secret {ref.url_secret_ref.name!r}, key {ref.url_secret_ref.key!r}: {reason}"

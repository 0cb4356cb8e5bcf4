"""Renews a worker's leases from an OS thread, independent of its event loop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog

from asr_core.keys import Keys
from asr_core.queue.connection import sync_client
from asr_core.queue.outcome import Outcome
from asr_core.queue.scripts import script_text
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings

LostCallback = Callable[[str, str, Outcome], None]
_log = structlog.get_logger(__name__)


@dataclass
class _Lease:
    token: str
    progress: float = 0.0
    moved_at: float = 0.0


class LeaseKeeper(threading.Thread):
    """Renews every third of a lease, on a connection of its own, without retries; five times as
    often while Redis does not answer.

    A task without progress for `progress_deadline_seconds` is no longer renewed, so that a hung
    device loses it. `on_lost(task_id, token, outcome)` runs in this thread.
    """

    def __init__(
        self,
        redis_settings: RedisSettings,
        queue_settings: QueueSettings,
        *,
        consumer: str,
        progress_deadline_seconds: float,
        on_lost: LostCallback,
    ) -> None:
        super().__init__(name="lease-keeper", daemon=True)
        keys = Keys(redis_settings.key_prefix)
        self._client = sync_client(redis_settings)
        self._renew = self._client.register_script(script_text("renew", keys))
        self._schema_key = keys.schema
        self._consumer = consumer
        self._lease_seconds = queue_settings.lease_seconds
        self._deadline_seconds = progress_deadline_seconds
        self._on_lost = on_lost
        self._leases: dict[str, _Lease] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._alive_at = time.monotonic()

    def hold(self, task_id: str, token: str) -> None:
        """Start renewing this attempt."""
        with self._lock:
            self._leases[task_id] = _Lease(token, moved_at=time.monotonic())

    def drop(self, task_id: str, token: str) -> None:
        """Stops renewing; unknown attempts are fine."""
        with self._lock:
            if (lease := self._leases.get(task_id)) and lease.token == token:
                del self._leases[task_id]

    def progress(self, task_id: str, token: str, fraction: float) -> None:
        """Record progress; sent with the next renewal."""
        with self._lock:
            if (lease := self._leases.get(task_id)) and lease.token == token:
                lease.progress = max(lease.progress, min(1.0, fraction))
                lease.moved_at = time.monotonic()

    def touch(self) -> None:
        """Worker-wide progress: tasks queued behind the running batch are not stuck."""
        with self._lock:
            for lease in self._leases.values():
                lease.moved_at = time.monotonic()

    def alive_at(self) -> float:
        """Monotonic send time of the last successful renewal."""
        return self._alive_at

    def stop(self) -> None:
        """End the thread; leases then expire."""
        self._stopping.set()

    def run(self) -> None:
        every_seconds = self._lease_seconds / 3
        wait_seconds = every_seconds
        while not self._stopping.wait(wait_seconds):
            wait_seconds = every_seconds if self.renew_once() else every_seconds / 5
        self._client.close()

    def renew_once(self) -> bool:
        """One renewal of everything held. Returns False while Redis is unavailable."""
        with self._lock:
            now = time.monotonic()
            renewable = {
                task_id: (lease.token, lease.progress)
                for task_id, lease in self._leases.items()
                if now - lease.moved_at < self._deadline_seconds
            }
        sent_at = time.monotonic()
        tasks = [
            {"task_id": task_id, "token": token, "progress": f"{progress:.3g}"}
            for task_id, (token, progress) in renewable.items()
        ]
        try:
            outcomes = self._send(tasks) if tasks else self._ping()
        except (redis.exceptions.RedisError, OSError) as error:
            _log.warning("leases not renewed", error=str(error), tasks=len(tasks))
            return False
        self._alive_at = sent_at
        for task, outcome in zip(tasks, outcomes, strict=True):
            if outcome is not Outcome.OK:
                self.drop(task["task_id"], task["token"])
                self._on_lost(task["task_id"], task["token"], outcome)
        return True

    def _ping(self) -> list[Outcome]:
        self._client.ping()
        return []

    def _send(self, tasks: list[dict[str, str]]) -> list[Outcome]:
        arguments = {
            "consumer": self._consumer,
            "lease_ms": round(self._lease_seconds * 1000),
            "tasks": tasks,
        }
        reply = self._renew(keys=[self._schema_key], args=[json.dumps(arguments)])
        return [Outcome(outcome) for outcome in reply]

"""Leader election with a `coordination.k8s.io` Lease in each namespace served.

The protocol is client-go's. The holder renews; a candidate takes over once the record has not
changed for the record's own duration, measured on the candidate's clock, so that clocks need not
agree. Every write names the resource version it is based on: of two concurrent writers one gets
409.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from asr_core.errors import ClusterUnavailable
from asr_core.process.logs import get_logger
from asr_operator.cluster.rest_client import COORDINATION, Json, Kube, micro_time, path

LEASE_NAME = "asr-operator"
_log = get_logger(__name__)


def lease_name(release: str) -> str:
    """The Lease for pools with this release's label, or without a label. Operators that may serve
    the same pool compete for one Lease; operators of different releases do not."""
    return f"{LEASE_NAME}-{release}" if release else LEASE_NAME


class Lease:
    """Leadership in one namespace. `run` acquires and renews it."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        identity: str,
        *,
        name: str = LEASE_NAME,
        duration_seconds: int = 15,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._url = path(COORDINATION, namespace, "leases", name)
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._duration_seconds = duration_seconds
        self._clock = clock
        self._valid_until = float("-inf")
        self._record: Json | None = None
        self._unchanged_since = 0.0

    @property
    def held(self) -> bool:
        """True for two thirds of the duration after the last successful renewal was sent.

        The last third is a margin for requests that were sent just before it ran out.
        """
        return self._clock() < self._valid_until

    async def run(self) -> None:
        """Acquires or renews five times per duration, until cancelled."""
        log = _log.bind(namespace=self._namespace, lease=self._name)
        was_held, failures = False, 0
        while True:
            try:
                await self.attempt()
                failures = 0
            except ClusterUnavailable as error:
                failures += 1
                if failures > 1 or not error.is_refusal:
                    log.warning("lease not renewed", error=error.message)
            if self.held != was_held:
                was_held = self.held
                log.info("lease held" if was_held else "lease lost")
            await asyncio.sleep(self._duration_seconds / 5)

    async def attempt(self) -> None:
        """One step: acquire, renew, or find that another operator holds it."""
        asked_at = self._clock()
        record = await self._kube.find(self._url)
        if record is None:
            await self._write(None, asked_at, {"leaseTransitions": 0, "acquireTime": micro_time()})
            return
        self._observe(record)
        spec = record.get("spec") or {}
        if spec.get("holderIdentity") == self._identity:
            await self._write(record, asked_at, {})
        elif self._is_free(spec):
            transitions = int(spec.get("leaseTransitions") or 0) + 1
            taken = {"leaseTransitions": transitions, "acquireTime": micro_time()}
            await self._write(record, asked_at, taken)
        else:
            self._valid_until = float("-inf")

    async def release(self) -> None:
        """Gives up leadership, so that the next operator can start at once.

        An uninstall removes the RBAC rights before the program ends: a refusal is then expected.
        """
        was_held, self._valid_until = self.held, float("-inf")
        if not was_held:
            return
        # Tests the holder, not the version: a renewal in flight may have changed the version.
        released: list[Json] = [
            {"op": "test", "path": "/spec/holderIdentity", "value": self._identity},
            {"op": "replace", "path": "/spec/holderIdentity", "value": ""},
            {"op": "replace", "path": "/spec/leaseDurationSeconds", "value": 1},
        ]
        try:
            await self._kube.json_patch(self._url, released)
        except ClusterUnavailable as error:
            log = _log.bind(namespace=self._namespace, lease=self._name)
            if error.is_refusal or error.reply_status in (404, 422):
                log.info(
                    "lease not released", reason="deleted, refused or held by another operator"
                )
            else:
                log.warning("lease not released", error=error.message)

    def _observe(self, record: Json) -> None:
        if self._record is None or _version(record) != _version(self._record):
            self._unchanged_since = self._clock()
        self._record = record

    def _is_free(self, spec: Json) -> bool:
        if not spec.get("holderIdentity"):
            return True
        duration = float(spec.get("leaseDurationSeconds") or self._duration_seconds)
        return self._clock() - self._unchanged_since > duration

    async def _write(self, record: Json | None, asked_at: float, changes: dict[str, Any]) -> None:
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration_seconds,
            "renewTime": micro_time(),
            **changes,
        }
        try:
            if record is None:
                body = {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": self._name, "namespace": self._namespace},
                    "spec": spec,
                }
                written = await self._kube.create(self._url.rpartition("/")[0], body)
            else:
                version = {"resourceVersion": _version(record)}
                written = await self._kube.patch(self._url, {"metadata": version, "spec": spec})
        except ClusterUnavailable as error:
            if error.reply_status == 409:  # another operator was faster
                self._valid_until = float("-inf")
                return
            raise
        self._observe(written)
        self._valid_until = asked_at + self._duration_seconds * 2 / 3


class Leases:
    """One operator's Leases by namespace and release, each with its own task. Must be closed."""

    def __init__(self, kube: Kube, identity: str, duration_seconds: int) -> None:
        self._kube = kube
        self._identity = identity
        self._duration_seconds = duration_seconds
        self._running: dict[tuple[str, str], tuple[Lease, asyncio.Task[None]]] = {}

    def lease(self, namespace: str, release: str) -> Lease:
        """The Lease, which is acquired and renewed from the first call on."""
        key = (namespace, release)
        if key not in self._running:
            lease = Lease(
                self._kube,
                namespace,
                self._identity,
                name=lease_name(release),
                duration_seconds=self._duration_seconds,
            )
            task = asyncio.create_task(lease.run(), name=f"lease {namespace} {release}")
            self._running[key] = (lease, task)
        return self._running[key][0]

    def is_held(self, namespace: str) -> bool:
        """Whether a Lease of the namespace is held. Safe to call from other threads."""
        running = [*self._running.items()]
        return any(lease.held for (where, _), (lease, _) in running if where == namespace)

    async def release_all(self) -> None:
        """Stops renewing all Leases, then releases them."""
        for _, task in self._running.values():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for lease, _ in self._running.values():
            await lease.release()

    async def close(self) -> None:
        """Closes the connections."""
        await self._kube.close()


def _version(record: Json) -> str:
    return str(record["metadata"]["resourceVersion"])

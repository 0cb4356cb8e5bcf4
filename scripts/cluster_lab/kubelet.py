"""Plays scheduler and kubelet over the API: binds pods, makes them ready, lets them end.

Works on the stand-in and on a real API server that has controllers but no nodes of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from asr_core.errors import ClusterUnavailable
from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import Json, path
from cluster_lab.admin import Admin

NODE = "asr-test-node"
Hook = Callable[[str], Awaitable[None]]


async def _nothing(_pod: str) -> None:
    pass


@dataclass
class Kubelet:
    """One node with `capacity` pods. `on_start` runs before a pod is ready, `on_stop` as it ends.

    `startup_seconds` is from the binding to ready. `plays` is False where a real kubelet does it
    all: then only the hooks are called.
    """

    api: Admin
    namespace: str
    capacity: int = 1000
    startup_seconds: float = 0.0
    plays: bool = True
    on_start: Hook = _nothing
    on_stop: Hook = _nothing
    _bound: dict[str, float] = field(default_factory=dict)
    _stopping: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _started: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Looks ten times a second, until cancelled. A test may take the API server away."""
        while True:
            with suppress(ClusterUnavailable):
                await self.step()
            await asyncio.sleep(0.1)

    async def step(self) -> None:
        """One pass over every pod of the namespace."""
        pods = await self.api.items(path(rest_client.CORE, self.namespace, "pods"))
        names = {pod["metadata"]["name"] for pod in pods}
        for gone in self._started - names:
            self._stop(gone, {})
        running = sum(1 for pod in pods if pod["spec"].get("nodeName"))
        for pod in pods:
            name = pod["metadata"]["name"]
            try:
                if pod["metadata"].get("deletionTimestamp"):
                    self._stop(name, pod)
                elif not pod["spec"].get("nodeName") and self.plays:
                    fits = running < self.capacity
                    running += fits
                    await (self._bind(name) if fits else self._refuse(name, pod))
                else:
                    await self._advance(name, pod)
            except ClusterUnavailable as error:
                if error.reply_status not in (404, 409):
                    raise

    async def _advance(self, name: str, pod: Json) -> None:
        if name in self._started:
            return
        if self.plays:
            bound_at = self._bound.setdefault(name, time.monotonic())
            if time.monotonic() - bound_at < self.startup_seconds:
                return
        elif not _is_ready(pod):
            return
        self._started.add(name)
        await self.on_start(name)
        if self.plays:
            await self._set_status(name, "Running", ["PodScheduled", "ContainersReady", "Ready"])

    async def _bind(self, name: str) -> None:
        body = {
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }  # fmt: skip
        await self.api.create(path(rest_client.CORE, self.namespace, "pods", name, "binding"), body)
        self._bound[name] = time.monotonic()

    async def _refuse(self, name: str, pod: Json) -> None:
        if any(each.get("reason") == "Unschedulable" for each in _conditions(pod)):
            return
        condition = {
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
            "lastTransitionTime": _now(),
        }  # fmt: skip
        body = {"status": {"phase": "Pending", "conditions": [condition]}}
        await self.api.patch(path(rest_client.CORE, self.namespace, "pods", name, "status"), body)

    async def _set_status(self, name: str, phase: str, conditions: list[str]) -> None:
        listed = [{"type": t, "status": "True", "lastTransitionTime": _now()} for t in conditions]
        body = {"status": {"phase": phase, "conditions": listed}}
        await self.api.patch(path(rest_client.CORE, self.namespace, "pods", name, "status"), body)

    def _stop(self, name: str, pod: Json) -> None:
        if name not in self._stopping:
            self._stopping[name] = asyncio.create_task(self._end(name, pod))

    async def _end(self, name: str, pod: Json) -> None:
        if name in self._started:
            await self.on_stop(name)
            self._started.discard(name)
        if pod and self.plays:
            url = path(rest_client.CORE, self.namespace, "pods", name)
            with suppress(ClusterUnavailable):
                await self.api.delete(url, {"gracePeriodSeconds": 0})


def _conditions(pod: Json) -> list[Json]:
    listed: list[Json] = (pod.get("status") or {}).get("conditions") or []
    return listed


def _is_ready(pod: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in _conditions(pod))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

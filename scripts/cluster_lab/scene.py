"""One namespace with a Redis, and everything that a test does there."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uuid_utils

from asr_core.queue import BacklogReader, Producer, RedisConnection
from asr_core.queue.workers import cordon
from asr_core.settings.queue import QueueSettings
from asr_core.task import NewTask
from asr_operator.cluster import rest_client
from asr_operator.cluster.objects import STARTED_BY
from asr_operator.cluster.rest_client import Json, path
from asr_operator.program import RELEASE_LABEL
from chart.tools import find_kubectl
from cluster_lab.admin import Admin
from cluster_lab.kubelet import Kubelet
from cluster_lab.programs import OperatorProgram, RedisProgram
from cluster_lab.server import FakeCluster
from cluster_lab.workers import Worker

WAITS: dict[str, Any] = {"paused": True, "annotations": {STARTED_BY: "operator"}}
FAST = {"stabilizationSeconds": {"up": 0, "down": 3}, "targetWaitSeconds": 20}


@dataclass
class Scene:
    """One namespace with a Redis, and everything a test does there."""

    admin: Admin
    namespace: str
    redis: RedisProgram
    kubeconfig: Path
    folder: Path
    fake: FakeCluster | None
    kubelet: Kubelet
    settings: QueueSettings
    pods_run: bool = True
    worker_options: dict[str, Any] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    ended: list[Worker] = field(default_factory=list)
    programs: list[OperatorProgram] = field(default_factory=list)
    _connections: list[RedisConnection] = field(default_factory=list)

    async def pool(
        self, name: str = "gpu", target: str = "asr-worker", release: str = "", **spec: Any
    ) -> Json:
        """A WorkerPool that is polled every second, with short windows."""
        scaling = {**FAST, **spec.pop("scaling", {})}
        full = {
            "scaleTargetRef": {"name": target},
            "redis": {"urlSecretRef": {"name": "redis", "key": "url"}},
            "pollIntervalSeconds": 1,
            "scaling": scaling,
            **spec,
        }
        labels = {RELEASE_LABEL: release} if release else {}
        return await self.admin.pool(self.namespace, name, full, labels)

    async def change_pool(self, name: str = "gpu", **spec: Any) -> None:
        """Merges into the spec, as `kubectl patch` does."""
        url = path(rest_client.POOLS, self.namespace, "workerpools", name)
        await self.admin.patch(url, {"spec": spec})

    async def pause_at(self, replicas: int) -> None:
        """The plan then takes this number, whatever the work asks for."""
        await self.change_pool(scaling={"paused": True, "pausedReplicas": replicas})

    async def deployment(self, replicas: int = 0, name: str = "asr-worker") -> None:
        await self.admin.deployment(self.namespace, name, replicas)

    async def deployment_to_start(self, name: str = "asr-worker") -> None:
        """As the chart applies it: paused, without replicas, and marked for the operator."""
        await self.admin.deployment(self.namespace, name, None, **WAITS)

    async def apply_again(self, name: str = "asr-worker") -> None:
        """What an installer's next apply of the same manifest changes."""
        url = path(rest_client.APPS, self.namespace, "deployments", name)
        meta = {"annotations": WAITS["annotations"]}
        await self.admin.patch(url, {"metadata": meta, "spec": {"paused": True}})

    def operator(
        self, name: str = "operator", release: str = "", *, declared: Sequence[Json] | None = None
    ) -> OperatorProgram:
        """A running operator, with the WorkerPools that its installation declares."""
        log = self.folder / f"{name}-{len(self.programs)}.log"
        program = OperatorProgram(self.kubeconfig, self.namespace, log, name=name, release=release)
        if declared is not None:
            program.pools_file = self.folder / f"{name}-{len(self.programs)}-pools.json"
            program.pools_file.write_text(json.dumps(declared))
        self.programs.append(program.start())
        return program

    async def submit(self, count: int = 1, seconds: float = 10.0, pool: str = "default") -> None:
        producer = Producer(self._connected(), self.settings)
        await producer.prepare()
        for _ in range(count):
            task_id = str(uuid_utils.uuid7())
            await producer.submit(
                NewTask(task_id=task_id, bytes=3, duration_seconds=seconds, pool=pool)
            )

    async def cordon(self, worker: Worker, *, cordoned: bool = True) -> None:
        await cordon(self._connected(), [worker.consumer.name], cordoned=cordoned)

    async def open_tasks(self) -> int:
        backlog = await BacklogReader(self._connected(), self.settings).read()
        return backlog.waiting + backlog.in_flight + backlog.delayed

    def _connected(self) -> RedisConnection:
        if not self._connections:
            self._connections.append(RedisConnection(self.redis.settings(), retries=3))
        return self._connections[0]

    async def replicas(self, name: str = "asr-worker") -> int:
        url = path(rest_client.APPS, self.namespace, "deployments", name)
        return int((await self.admin.get(url))["spec"]["replicas"])

    async def status(self, name: str = "gpu") -> Json:
        url = path(rest_client.POOLS, self.namespace, "workerpools", name)
        status: Json = (await self.admin.get(url)).get("status") or {}
        return status

    async def condition(self, kind: str, name: str = "gpu") -> tuple[str, str]:
        """Status and reason; empty before the first report."""
        for each in (await self.status(name)).get("conditions") or []:
            if each["type"] == kind:
                return each["status"], each["reason"]
        return "", ""

    async def events(self, name: str = "gpu") -> list[Json]:
        found = await self.admin.items(path(rest_client.EVENTS, self.namespace, "events"))
        # A Deployment may have the same name, and events of its own.
        own = [
            e
            for e in found
            if (e["regarding"]["kind"], e["regarding"]["name"]) == ("WorkerPool", name)
        ]
        return sorted(own, key=lambda each: str(each["eventTime"]))

    async def reasons(self, name: str = "gpu") -> list[str]:
        return [each["reason"] for each in await self.events(name)]

    async def steps(self, name: str = "gpu") -> list[tuple[int, int]]:
        """Every change of replicas that the operator has posted: from, to."""
        notes = [each["note"] for each in await self.events(name) if each["action"] == "Scale"]
        found = [re.match(r"(\d+) to (\d+):", note) for note in notes]
        return [(int(match[1]), int(match[2])) for match in found if match]

    async def kubectl(self, *arguments: str) -> str:
        """What a person with kubectl reads."""
        program = await asyncio.to_thread(find_kubectl)
        place = [f"--kubeconfig={self.kubeconfig}"] if self.fake else []  # else the admin's own
        process = await asyncio.create_subprocess_exec(
            program, *place, f"--namespace={self.namespace}", f"--cache-dir={self.folder}",
            *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def until(
        self, holds: Callable[[], Awaitable[object]], *, seconds: float = 30, what: str = ""
    ) -> None:
        """Waits until `holds` is true; says what the operator wrote where it never is."""
        deadline = time.monotonic() + seconds
        while not await holds():
            if time.monotonic() > deadline:
                logs = "\n".join(p.log.read_text()[-3000:] for p in self.programs)
                raise AssertionError(
                    f"not within {seconds} s: {what}\n{await self.status()}\n{logs}"
                )
            await asyncio.sleep(0.1)

    async def stays(self, holds: Callable[[], Awaitable[object]], *, seconds: float) -> None:
        """That `holds` is true all the time. For what must not happen there is no event."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert await holds()
            await asyncio.sleep(0.1)

    async def start_worker(self, pod: str) -> None:
        if self.pods_run:
            options = dict(self.worker_options)
            worker = Worker(self.redis.settings(), self.settings, pod, **options)
            await worker.start()
            self.workers[pod] = worker

    async def stop_worker(self, pod: str) -> None:
        worker = self.workers.pop(pod, None)
        if worker is not None:
            await worker.stop()
            self.ended.append(worker)

    def kill_programs(self) -> None:
        for program in self.programs:
            if program.process and program.process.poll() is None:
                program.kill()

    async def close(self) -> None:
        self.kill_programs()
        for worker in self.workers.values():
            await worker.kill()
        for connection in self._connections:
            await connection.close()
        await self.admin.close()

"""The dev profile, with keys, as processes: Redis, API, courier, operator, and workers.

The operator acts on a stand-in of the API server, whose kubelet starts the workers' rendered pods.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import path
from chart.container_root import ContainerRoot
from chart.local_node import LocalNode
from cluster_lab import RedisProgram, Scene, on_kmock
from cluster_lab.programs import free_port

NAMESPACE = "speech"
PORTS = ("api", "redis", "workerMetrics", "courierMetrics", "operatorMetrics", "operatorHealth")


class Cluster(threading.Thread):
    """The stand-in on an event loop of its own; `node` starts and ends the workers' pods."""

    def __init__(self, folder: Path, node: LocalNode, worker: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self._folder, self._node, self._worker = folder, node, worker
        self._loop = asyncio.new_event_loop()
        self._ready, self._ended = threading.Event(), asyncio.Event()
        self.workers: dict[str, Any] = {}
        self._worker_ready = threading.Condition()
        self.scene: Scene | None = None

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        # The scene's own Redis is not used: the chart brings one.
        async with on_kmock(RedisProgram(self._folder), self._folder) as scene:
            scene.namespace = scene.kubelet.namespace = NAMESPACE
            scene.kubelet.on_start, scene.kubelet.on_stop = self._pod_starts, self._pod_stops
            self.scene = scene
            playing = asyncio.create_task(scene.kubelet.run())
            self._ready.set()
            await self._ended.wait()
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            await scene.admin.close()

    def begin(self) -> Scene:
        self.start()
        assert self._ready.wait(60)
        assert self.scene
        return self.scene

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self.join(30)

    def worker(self, seconds: float) -> Any:
        """One that is ready and has not ended; None where none comes in this time."""

        def found() -> Any:
            return next((w for w in self.workers.values() if w.process.poll() is None), None)

        with self._worker_ready:
            return self._worker_ready.wait_for(found, seconds)

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _pod_starts(self, pod: str) -> None:
        made = await asyncio.to_thread(self._node.start, pod, self._worker)
        with self._worker_ready:
            self.workers[pod] = made[0]
            self._worker_ready.notify_all()

    async def _pod_stops(self, pod: str) -> None:
        await asyncio.to_thread(self.workers[pod].stop)


@dataclass
class Running:
    """A release that runs here."""

    rendered: Any
    node: LocalNode
    cluster: Cluster
    ports: dict[str, int]
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def worker(self) -> Any:
        """A worker that runs; where the operator has no reason to start one, a task is one."""
        if not (worker := self.cluster.worker(5)):
            told = self.run_to_end("asr-wake", _template(self.rendered, "Pod/asr-test"))
            assert told.returncode == 0, told.stderr
            worker = self.cluster.worker(60)
        assert worker
        return worker

    def run_to_end(self, pod: str, template: dict[str, Any], seconds: float = 240) -> Any:
        (container,) = self.node.containers_of(pod, template)
        return container.run(seconds)


Start = Callable[..., Running]


def _template(rendered: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(rendered.pods())[name]
    return found


@pytest.fixture(scope="session")
def release(render: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Renders the dev profile with keys and free ports, and starts its Redis."""
    made: list[Running] = []

    def start(*settings: str) -> Running:
        ports = {name: free_port() for name in PORTS}
        sets = [f"ports.{name}={port}" for name, port in ports.items()]
        rendered = render(
            "-f", "values-dev.yaml", "--set", ",".join([*sets, "auth.mode=keys", *settings])
        )
        places = {"asr-redis": "127.0.0.1", "asr-api:80": f"127.0.0.1:{ports['api']}"}
        folder = tmp_path_factory.mktemp("release")
        root = None if ContainerRoot.missing() else ContainerRoot(folder / "container")
        node = LocalNode(rendered.objects, folder, places, root)
        worker = _template(rendered, "Deployment/asr-worker-default")
        running = Running(rendered, node, Cluster(folder, node, worker), ports)
        made.append(running)
        redis = node.start("asr-redis-0", _template(rendered, "StatefulSet/asr-redis"))
        running.parts["redis"] = redis[0]
        return running

    yield start
    for running in made:
        running.node.kill()
        if running.cluster.is_alive():
            running.cluster.end()


@pytest.fixture(scope="session")
def platform(release: Start) -> Iterator[Running]:
    """All of it, at first without a worker. In the end each part must leave at SIGTERM, in time."""
    running = release()
    scene = running.cluster.begin()
    running.cluster.call(_apply(scene, running.rendered))
    for part in ("api", "courier", "operator"):
        # What stands for the mounted token of the operator's account.
        more = {"KUBECONFIG": scene.kubeconfig} if part == "operator" else {}
        template = _template(running.rendered, f"Deployment/asr-{part}")
        running.parts[part] = running.node.start(f"asr-{part}-0", template, **more)[0]
    yield running
    parts = {**running.cluster.workers, **dict(reversed(running.parts.items()))}
    statuses = {name: part.stop() for name, part in parts.items()}
    # uvicorn ends in order, and then by the signal that it was given.
    in_order = {0, -signal.SIGTERM}
    assert {name: status for name, status in statuses.items() if status not in in_order} == {}


async def _apply(scene: Scene, rendered: Any) -> None:
    """What the operator works on. It starts the Deployment and makes the pool."""
    (deployment,) = [
        each
        for each in rendered.of_kind("Deployment")
        if each["metadata"]["name"] == "asr-worker-default"
    ]
    await scene.admin.create(path(rest_client.APPS, NAMESPACE, "deployments"), deployment)

"""Releases on the API server of KUBECONFIG, installed by real helm, 3 and 4, and by kubectl.

A kubelet is played: pods become ready and do nothing. The operator runs as a process here, with the
account, the role and the pools that the release gives it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr_operator.cluster.rest_client import load_configuration
from chart.generated import CHART
from chart.tools import Helm, ToolMissing, find_helm, find_kubectl
from cluster_lab import Admin, Kubelet, OperatorProgram, RedisProgram
from cluster_lab.places import install_crd, needs_node

Json = dict[str, Any]
_VALUES = """
crds: {install: false, assumeInstalled: true}
redis: {persistence: {enabled: false}, auth: {existingSecret: made-before}}
auth: {existingSecret: made-before}
courier: {webhookSecret: {existingSecret: made-before}}
store: {type: s3, url: "s3://bucket/asr"} # no volume, which nobody here would bind
worker: {modelCache: {persistent: false}, runtimeClassName: ""}
tests: {enabled: false}
monitoring: {scrape: {enabled: false}, rules: {enabled: false}, dashboards: {enabled: false}}
"""


class PlayedNode(threading.Thread):
    """A kubelet for one namespace, on an event loop of its own."""

    def __init__(self, namespace: str) -> None:
        super().__init__(daemon=True)
        self._namespace = namespace
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self.has_own_nodes = False

    def run(self) -> None:
        self._loop.run_until_complete(self._play())

    async def _play(self) -> None:
        admin = Admin(load_configuration())
        await install_crd(admin)
        self.has_own_nodes = not await needs_node(admin)
        self._task = asyncio.create_task(Kubelet(admin, self._namespace).run())
        self._ready.set()
        await asyncio.gather(self._task, return_exceptions=True)
        await admin.close()

    def begin(self) -> None:
        self.start()
        assert self._ready.wait(60)

    def end(self) -> None:
        assert self._task
        self._loop.call_soon_threadsafe(self._task.cancel)
        self.join(30)


@dataclass
class Release:
    """A release `asr` of values-gpu.yaml in a namespace of its own."""

    helm: Helm
    namespace: str
    folder: Path
    redis: RedisProgram
    chart: Path = CHART
    operators: list[OperatorProgram] = field(default_factory=list)

    @property
    def values(self) -> list[str]:
        return ["-n", self.namespace, "-f", str(CHART / "values-gpu.yaml"), "-f",
                str(self.folder / "values.yaml")]  # fmt: skip

    def run(self, command: str, *arguments: str) -> str:
        """`helm install`, `upgrade` or `template` with the release's values."""
        return self.plain(command, "asr", str(self.chart), *self.values, *arguments)

    def plain(self, *arguments: str) -> str:
        """Any helm command; its output. It must succeed."""
        done = self.helm.run(*arguments, kubeconfig=os.environ["KUBECONFIG"])
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def kubectl(self, *arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [str(find_kubectl()), "-n", self.namespace, *arguments],
            input=text, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *arguments: str) -> None:
        """As Argo CD and Flux's kustomize do: rendered without a cluster, then applied."""
        rendered = self.run("template", *arguments[arguments.index("--") + 1 :])
        self.kubectl("apply", "-f", "-", *arguments[: arguments.index("--")], text=rendered)

    def get(self, kind: str, name: str) -> Json:
        found: Json = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def replicas(self, part: str) -> int:
        return int(self.get("deployment", f"asr-{part}")["spec"]["replicas"])

    def pods(self, part: str) -> set[str]:
        """The uids of its live pods: a pod that was taken and replaced has another."""
        label = f"app.kubernetes.io/component={part}"
        listed = json.loads(self.kubectl("get", "pods", "-l", label, "-o", "json"))["items"]
        return {
            each["metadata"]["uid"]
            for each in listed
            if not each["metadata"].get("deletionTimestamp")
        }

    def start_operator(self) -> None:
        """With what the release gives it: token, role, and the file of its pools."""
        token = self.kubectl("create", "token", "asr-operator").strip()
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        place = self.folder / "operator.kubeconfig"
        place.write_text(yaml.safe_dump(config))
        program = OperatorProgram(place, self.namespace, self.folder / "operator.log")
        declared = self.kubectl("get", "configmap", "-o", "json", "--ignore-not-found", "asr-pools")
        if declared:
            program.pools_file = self.folder / "pools.json"
            program.pools_file.write_text(json.loads(declared)["data"]["pools.json"])
        program.redis_port = self.redis.port
        self.operators.append(program.start())

    def operator_sets(self, replicas: int) -> set[str]:
        """The operator scales the workers to this number; their pods."""
        scaling = {"paused": True, "pausedReplicas": replicas}
        patch = json.dumps({"spec": {"scaling": scaling}})
        self.kubectl("patch", "wp", "asr-worker-default", "--type=merge", "-p", patch)
        self.until(lambda: len(self.pods("worker")) == replicas, f"{replicas} workers")
        return self.pods("worker")

    def is_started(self) -> bool:
        found = self.get("deployment", "asr-worker-default")
        return not found["spec"].get("paused")

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            logs = "\n".join(each.log.read_text()[-3000:] for each in self.operators)
            assert time.monotonic() < deadline, f"not in {seconds} s: {what}\n{logs}"
            time.sleep(0.2)


@pytest.fixture(scope="session", params=[3, 4], ids=["helm3", "helm4"])
def each_helm(request: pytest.FixtureRequest) -> Helm:
    try:
        return find_helm(request.param)
    except ToolMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProgram]:
    program = RedisProgram(tmp_path_factory.mktemp("installed-redis")).start()
    yield program
    program.kill()


@pytest.fixture
def release(each_helm: Helm, queue: RedisProgram, tmp_path: Path) -> Iterator[Release]:
    """Nothing is installed yet."""
    if os.environ.get("ASR_TEST_CLUSTER") != "1":
        pytest.skip("a real API server is used by `make test-cluster`, with KUBECONFIG")
    made = Release(each_helm, f"asr-test-{uuid.uuid4().hex[:8]}", tmp_path, queue)
    (tmp_path / "values.yaml").write_text(_VALUES)
    if json.loads(made.kubectl("get", "--raw", "/version"))["gitVersion"].startswith("v0.0.0"):
        made.chart = _for_any_version(tmp_path)
    node = PlayedNode(made.namespace)
    node.begin()
    if node.has_own_nodes:
        node.end()
        pytest.skip("the cluster has nodes, which would pull images: `make e2e` installs on those")
    made.kubectl("create", "namespace", made.namespace)
    made.kubectl(
        "create", "secret", "generic", "made-before",
        "--from-literal=password=x", "--from-literal=key=x", "--from-literal=secret=x",
    )  # fmt: skip
    try:
        yield made
    finally:
        for program in made.operators:
            program.kill()
        made.kubectl("delete", "namespace", made.namespace, "--wait=false")
        node.end()


def _for_any_version(folder: Path) -> Path:
    """A build of Kubernetes's sources has no version, and is too old for helm."""
    copy = folder / "chart"
    shutil.copytree(CHART, copy)
    described = yaml.safe_load((copy / "Chart.yaml").read_text())
    del described["kubeVersion"]
    (copy / "Chart.yaml").write_text(yaml.safe_dump(described))
    return copy

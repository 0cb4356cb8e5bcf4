"""The program around the loops: its rights, its probe, its metrics, what it refuses."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

import psutil
import pytest
import yaml

from asr_cli.local.ports import free_port, port_is_free
from asr_operator.cluster import rest_client
from asr_operator.cluster.manifests import role_rules_text
from asr_operator.cluster.rest_client import path
from asr_operator.program import Operator
from cluster_lab import Scene
from cluster_lab.objects import Refused
from cluster_lab.server import ClusterRequest

pytestmark = pytest.mark.asyncio


def allowed() -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in yaml.safe_load(role_rules_text())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def test_its_role_is_what_it_uses_no_less_and_no_more(scene: Scene) -> None:
    """Declared, started, up, down, restored. The test's own requests carry another name."""
    if scene.fake is None:
        pytest.skip("on a real API server every scene runs with this role")
    used: set[tuple[str, str, str]] = set()

    def note(asked: ClusterRequest) -> Refused | None:
        if asked.agent.startswith(("asr-operator", "kopf")):
            used.add((asked.group, asked.resource, asked.verb))
        return None

    scene.fake.refuse = note
    await scene.deployment(3)
    await scene.deployment_to_start("large")
    await scene.pool(onDelete="restore", scaling={"paused": True, "pausedReplicas": 4})
    stale = await scene.pool("large", "large")
    declared = {key: stale[key] for key in ("apiVersion", "kind", "spec")}
    program = scene.operator(
        declared=[
            {**declared, "metadata": {"name": "large"}},
            {**declared, "metadata": {"name": "twin"}},
        ]
    )

    async def has_four() -> bool:
        return len(scene.workers) == 4

    async def has_one() -> bool:
        return await scene.replicas() == 1

    async def has_started() -> bool:
        return await scene.replicas("large") == 0

    async def is_restored() -> bool:
        return await scene.replicas() == 3

    await scene.until(has_four, what="four workers")
    await scene.until(has_started, what="the other Deployment started")
    await scene.pause_at(1)
    await scene.until(has_one, what="one replica")
    await scene.admin.delete(path(rest_client.POOLS, scene.namespace, "workerpools", "gpu"))
    await scene.until(is_restored, what="three replicas again")
    await asyncio.to_thread(program.stop)
    assert used == allowed()


async def test_the_probe_and_the_metrics_answer(scene: Scene) -> None:
    await scene.deployment()
    await scene.pool()
    program = scene.operator()

    async def is_reported() -> bool:
        return (await scene.condition("Ready"))[0] == "True"

    await scene.until(is_reported, what="a first report")
    assert await _get(program.liveness) == (200, '{"ticks": "ok"}')
    status, text = await _get(f"http://127.0.0.1:{program.metrics_port}/metrics")
    assert status == 200
    labels = f'namespace="{scene.namespace}",pool="gpu"'
    assert f"asr_operator_replicas{{{labels}}} 0.0" in text
    assert f"asr_operator_signal_up{{{labels}}} 1.0" in text
    assert f'asr_operator_leading{{namespace="{scene.namespace}"}} 1.0' in text
    assert 'reason="Steady"' in text
    assert "Authorization" not in program.log.read_text()
    assert program.process
    found = psutil.Process(program.process.pid).net_connections(kind="inet")
    listening = {each.laddr for each in found if each.status == psutil.CONN_LISTEN}
    assert len(listening) == 2
    assert {address.ip for address in listening} == {"127.0.0.1"}, "nobody asked for more"


async def test_the_probe_fails_when_pools_are_no_longer_looked_at(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as when every thread hangs. It is answered on addresses of both families."""
    from asr_operator import program
    from asr_operator.settings import OperatorSettings

    monkeypatch.setattr(program, "STALE_SECONDS", 0.2)
    port = free_port("::", 0)
    settings = OperatorSettings(_env_file=None, liveness_url=f"http://[::]:{port}/healthz")
    operator = Operator(settings, scene.admin.configuration)
    await operator.start()
    await scene.deployment()
    pool = await scene.pool()
    operator.pool_changed(pool, lambda _namespace, _target: [])
    (running,) = operator._pools.values()
    running.reconciler.poll_seconds = 0.0
    running.task.cancel()

    hosts = ["127.0.0.1", *(["[::1]"] if port_is_free("::1", 0) else [])]
    for host in hosts:
        assert await _get(f"http://{host}:{port}/healthz") == (200, '{"ticks": "ok"}')

    async def is_stale() -> bool:
        return operator.stale_pools() == [f"{scene.namespace}/gpu"]

    await scene.until(is_stale, seconds=5, what="a stale pool")
    status, text = await _get(f"http://{hosts[-1]}:{port}/healthz")
    assert (status, "no longer reconciled" in text) == (500, True)
    await operator.stop()


async def test_an_api_server_that_is_away_is_waited_for(scene: Scene) -> None:
    if scene.fake is None:
        pytest.skip("a real API server is not taken away")
    await scene.deployment()
    await scene.pool()
    program = scene.operator()

    async def is_reported() -> bool:
        return (await scene.condition("Ready"))[0] == "True"

    await scene.until(is_reported, what="a first report")

    looks = 0

    def refuse(asked: ClusterRequest) -> Refused | None:
        nonlocal looks
        # Its Lease is left to it: without one it would not look again.
        if asked.agent.startswith("asr-operator") and asked.plural != "leases":
            looks += asked.plural == "workerpools" and asked.name == "gpu"
            return Refused(503, "ServiceUnavailable", "etcd is away")
        return None

    scene.fake.refuse = refuse
    await scene.submit(1)

    async def is_logged() -> bool:
        return "tick failed" in program.log.read_text()

    async def has_failed_again() -> bool:
        return looks >= 4

    await scene.until(is_logged, what="an error in the log")
    await scene.until(has_failed_again, what="four ticks that fail")
    assert program.log.read_text().count("tick failed") == 1, "each kind of error is told once"
    scene.fake.refuse = lambda _: None

    async def is_awake() -> bool:
        return await scene.replicas() == 1

    await scene.until(is_awake, what="one replica")


async def test_a_bad_spec_is_refused_by_the_api_server_with_its_field(scene: Scene) -> None:
    if scene.fake is not None:
        pytest.skip("the stand-in does not judge schemas or CEL rules")
    for scaling, field in (
        ({"minReplicas": 5, "maxReplicas": 2}, "spec.scaling.minReplicas"),
        ({"maxReplicas": 0}, "spec.scaling.maxReplicas"),
        ({"fallback": {"replicas": 9}}, "spec.scaling.fallback.replicas"),
        ({"paused": {"replicas": 3}}, "spec.scaling.paused"),
    ):
        with pytest.raises(Exception, match=field):
            await scene.pool(scaling=scaling)
    await scene.pool()
    with pytest.raises(Exception, match=r"spec\.scaleTargetRef\.name"):
        await scene.change_pool(scaleTargetRef={"name": "other"})


async def _get(url: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(ask)

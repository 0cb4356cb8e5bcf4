"""What the chart renders really runs: its commands, its environment, its probes."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from asr_cli.local.demo import find_demo, transcript_is_right
from asr_cli.local.ports import port_is_free
from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import path


def test_every_part_becomes_ready_and_the_chart_s_own_test_transcribes(platform: Any) -> None:
    """The pod of `helm test`, with the first key; the operator starts the worker for it."""
    pods = dict(platform.rendered.pods())
    told = platform.run_to_end("asr-test", pods["Pod/asr-test"])
    assert told.returncode == 0, told.stderr
    demo = find_demo()
    assert demo
    assert transcript_is_right(told.stdout, demo.expected), told.stdout
    steps = platform.cluster.call(platform.cluster.scene.steps("asr-worker-default"))
    assert (0, 1) in steps
    worker = platform.worker()
    assert all(worker.probe(f"{kind}Probe") for kind in ("startup", "readiness", "liveness"))


def test_every_program_listens_on_addresses_of_both_families(platform: Any) -> None:
    """Clusters have one of them, or both, and probes come to any."""
    if not port_is_free("::1", 0):
        pytest.skip("no IPv6 here")
    programs = {**platform.parts, "worker": platform.worker()}
    programs.pop("redis")
    assert len(programs) == 4
    for name, program in programs.items():
        for host in ("127.0.0.1", "::1"):
            assert program.probe("livenessProbe", host), name
            for port in program.spec["ports"]:
                socket.create_connection((host, port["containerPort"]), 5).close()


def test_the_pool_is_as_the_values_say_and_goes_with_its_deployment(
    platform: Any,
) -> None:
    scene = platform.cluster.scene
    name = "asr-worker-default"
    pool = platform.cluster.call(
        scene.admin.get(path(rest_client.POOLS, scene.namespace, "workerpools", name))
    )
    assert pool["spec"]["scaling"]["maxReplicas"] == 3
    (owner,) = pool["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Deployment", name)
    assert pool["status"]["replicas"] >= 0


def test_without_the_key_nobody_transcribes(platform: Any) -> None:
    (container,) = platform.node.containers_of(
        "asr-stranger", dict(platform.rendered.pods())["Pod/asr-test"]
    )
    container.environment.pop("ASR_API_KEY")
    told = container.run(60)
    assert told.returncode != 0
    assert "key" in told.stderr + told.stdout


def test_every_job_runs_to_its_end_and_says_what_it_did(platform: Any) -> None:
    jobs = {name: t for name, t in platform.rendered.pods() if name.startswith("CronJob/")}
    assert len(jobs) == 3
    for name, template in jobs.items():
        told = platform.run_to_end(name.partition("/")[2], template)
        assert told.returncode == 0, f"{name}: {told.stderr}"
        assert told.stdout.strip(), name

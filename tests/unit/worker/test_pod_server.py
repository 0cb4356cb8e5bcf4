"""What a worker tells the kubelet."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from asr_worker.metrics import WorkerMetrics
from asr_worker.process.pod_server import PodServer


@pytest.fixture
def server() -> Iterator[PodServer]:
    server = PodServer("127.0.0.1", 0, WorkerMetrics(CollectorRegistry()).registry)
    yield server
    server.close()


def asked(server: PodServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_worker_that_waits_for_redis_is_healthy_and_not_ready(server: PodServer) -> None:
    assert asked(server, "/healthz")[0] == 200
    assert asked(server, "/readyz") == (503, "not in the queue yet\n")


def test_a_worker_in_the_queue_is_ready_and_shows_its_metrics(server: PodServer) -> None:
    server.watch(lambda: "")
    assert asked(server, "/readyz") == (200, "ok\n")
    assert "asr_worker_busy" in asked(server, "/metrics")[1]


def test_a_worker_without_progress_is_neither_healthy_nor_ready_and_says_why(
    server: PodServer,
) -> None:
    server.watch(lambda: "the event loop has not moved")
    assert asked(server, "/healthz") == (503, "the event loop has not moved\n")
    assert asked(server, "/readyz")[0] == 503

"""What a person sees of a platform that is not well; programs count only what is theirs."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from asr_cli.local.ports import free_port

MIB = 2**20


def read(url: str) -> str:
    """The reply, whatever its status; empty while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


def until(look: Callable[[], Any], seconds: float = 120) -> Any:
    """What `look` returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


def families(url: str) -> dict[str, int]:
    """How many samples of each of the platform's own metrics a program shows."""
    found = text_string_to_metric_families(read(url))
    return {each.name: len(each.samples) for each in found if each.name.startswith("asr_")}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MiB, which a worker needs 32 of; `asr up --data here` decodes on it."""
    disk = tmp_path / "here" / "work"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Somebody else's file."""
    file = disk / "somebody-else"
    file.write_bytes(bytes(shutil.disk_usage(disk).free - 4 * MIB))
    return file


@pytest.mark.timeout(300)
def test_two_apis_and_one_worker_show_one_worker_and_no_metric_twice(
    asr: Any, api_url: str, tmp_path: Path
) -> None:
    ports = [free_port("127.0.0.1", 0) for _ in range(2)]
    with (tmp_path / "others.log").open("w") as log:
        asr.start("api", "--port", str(ports[0]), "--grace", "1", output=log)
        worker = {"ASR_METRICS_PORT": str(ports[1]), "ASR_GRACE_SECONDS": "1"}
        asr.start("worker", output=log, ASR_CPU_THREADS="1", **worker)
    urls = [api_url, *(f"http://127.0.0.1:{port}" for port in ports)]
    first, second, worker_shows = (until(partial(families, f"{url}/metrics"), 60) for url in urls)
    shown = [each.get("asr_worker_busy", 0) for each in (first, second, worker_shows)]
    assert shown == [0, 0, 1], "the dashboard counts series of asr_worker_busy as workers"
    assert "asr_http_requests" in first
    assert first.keys() & worker_shows.keys() == set()


@pytest.mark.timeout(300)
def test_a_worker_whose_disk_is_full_says_so_everywhere_until_it_has_room(
    asr: Any, api_url: str, small_disk: Path, tmp_path: Path, recordings: Any
) -> None:
    filler = fill(small_disk)
    port = free_port("127.0.0.1", 0)
    with (tmp_path / "worker.log").open("w") as log:
        asr.start(
            "worker", output=log, ASR_WORK_DIR=str(small_disk), ASR_METRICS_PORT=str(port),
            ASR_WORKER_NAME="worker-7", ASR_CPU_THREADS="1", ASR_GRACE_SECONDS="1",
        )  # fmt: skip

    def workers_health() -> Any:
        return json.loads(read(f"{api_url}/api/v1/health"))["workers"]

    health = until(lambda: (told := workers_health())["alive"] and told)
    assert (health["status"], health["blocked"]) == ("blocked", 1)
    (problem,) = health["problems"]
    assert problem.startswith(f"worker-7: the disk of {small_disk}")
    assert "is full: 4 MiB free, 32 MiB needed" in problem
    assert json.loads(read(f"{api_url}/api/v1/health"))["status"] == "degraded"
    (worker,) = json.loads(read(f"{api_url}/api/v1/asr/queue/status"))["workers"]
    assert "is full" in worker["problem"]
    # Rich breaks a long cell into lines: what it says is read from --json, that it says it here.
    assert "is full" in asr("queue", "status", "--json").stdout
    assert "full" in asr("queue", "status").stdout
    assert 'asr_worker_blocked{reason="disk"} 1.0' in read(f"http://127.0.0.1:{port}/metrics")

    waits = asr.start("transcribe", *recordings("waits.wav"))
    until(lambda: json.loads(read(f"{api_url}/api/v1/asr/queue/status"))["waiting"] == 1)
    filler.unlink()
    out, told = waits.communicate(timeout=60)
    assert waits.returncode == 0, out + told
    until(lambda: workers_health()["status"] == "ok", 30)
    assert 'asr_worker_blocked{reason="disk"} 0.0' in read(f"http://127.0.0.1:{port}/metrics")


@pytest.mark.timeout(300)
def test_asr_up_says_that_a_disk_is_full_and_that_it_has_room_again(
    asr: Any, small_disk: Path, tmp_path: Path
) -> None:
    port = str(free_port("127.0.0.1", 0))
    log = tmp_path / "up.log"
    with log.open("w") as file:
        asr.start("up", "--port", port, "--data", "here", output=file)
    until(lambda: "Ctrl-C stops everything" in log.read_text())
    filler = fill(small_disk)
    until(lambda: f"asr: worker-1: the disk of {small_disk}" in log.read_text(), 60)
    filler.unlink()
    until(lambda: "worker-1 has recovered" in log.read_text(), 60)


def test_a_full_store_makes_the_platform_unavailable_in_health(
    asr: Any, api_url: str, small_disk: Path, tmp_path: Path
) -> None:
    port = str(free_port("127.0.0.1", 0))
    store = small_disk / "store"
    with (tmp_path / "api-2.log").open("w") as log:
        asr.start("api", "--port", port, "--grace", "1", output=log, ASR_STORE_URL=store.as_uri())

    def store_says() -> str:
        told = read(f"http://127.0.0.1:{port}/api/v1/health")
        return str(json.loads(told)["store"]["message"] or "ok") if told else ""

    assert until(store_says) == "ok"
    (small_disk / "somebody-else").write_bytes(b"")
    with (small_disk / "somebody-else").open("wb", buffering=0) as file:
        file.write(bytes(shutil.disk_usage(small_disk).free))
    assert "store is full" in store_says()

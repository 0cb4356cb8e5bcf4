"""`asr retention` as a person, a CronJob and `asr up` run it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis
import uuid_utils

from asr_cli.local.ports import free_port
from asr_core.queue import Producer, RedisConnection
from asr_core.settings.queue import QueueSettings
from asr_core.store import Store
from asr_core.task import NewTask, audio_path

LIMITS = (
    "--max-recordings",
    "1",
    "--results-max-age-days",
    "30",
    "--recordings-min-age-minutes",
    "0",
)


@pytest_asyncio.fixture
async def cancelled(redis_server: Any, asr: Any, tmp_path: Path) -> Any:
    """Makes cancelled tasks with a recording; `asr` is pointed at their Redis and store."""
    asr.environment |= {
        "REDIS_PORT": str(redis_server.port),
        "ASR_STORE_URL": (tmp_path / "store").as_uri(),
    }
    connection = RedisConnection(redis_server.settings())
    producer = Producer(connection, QueueSettings())
    await producer.prepare()
    store = Store.open(asr.environment["ASR_STORE_URL"])

    async def make(count: int) -> list[str]:
        ids = [str(uuid_utils.uuid7()) for _ in range(count)]
        for task_id in ids:
            await store.put(audio_path(task_id), b"abc")
            await producer.submit(NewTask(task_id=task_id, bytes=3, duration_seconds=1))
            await producer.cancel(task_id)
        return ids

    yield make
    await connection.close()


def recordings(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "store" / "audio").glob("*")}


def until(happened: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.asyncio
async def test_it_says_what_it_would_do_and_then_what_it_did(
    asr: Any, cancelled: Any, tmp_path: Path
) -> None:
    *old, new = await cancelled(3)
    dry = asr("retention", *LIMITS, "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert dry.stdout.startswith("would delete 2 recordings (0.0 MB) and 0 records, 1 recording ")
    assert recordings(tmp_path) == {*old, new}
    done = asr("retention", *LIMITS, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["recordings_deleted"], told["bytes_freed"], told["recordings_kept"]) == (2, 6, 1)
    assert (told["unknown"], told["errors"], told["dry_run"]) == (0, 0, False)
    assert recordings(tmp_path) == {new}


@pytest.mark.asyncio
async def test_the_newest_hour_is_spared_by_the_number_and_zero_spares_nothing(
    asr: Any, cancelled: Any, tmp_path: Path
) -> None:
    """Thirty files are dropped on the page, and somebody listens to them one after the other."""
    ids = await cancelled(30)
    assert asr("retention").returncode == 0
    assert recordings(tmp_path) == set(ids)
    assert asr("retention", ASR_RECORDINGS_MIN_AGE_MINUTES="0").returncode == 0
    assert recordings(tmp_path) == set(ids[20:])
    assert asr("retention", MAX_RECORDINGS="0").returncode == 0
    assert recordings(tmp_path) == set()


@pytest.mark.asyncio
async def test_limits_come_from_the_environment_and_a_pass_is_a_business_event(
    asr: Any, cancelled: Any, tmp_path: Path
) -> None:
    ids = await cancelled(2)
    asr.environment |= {"LOG_DIR": str(tmp_path / "logs"), "MAX_RECORDINGS": ""}
    assert asr("retention").returncode == 0
    assert recordings(tmp_path) == set(ids)
    done = asr("retention", ASR_RESULTS_MAX_AGE_DAYS="1e-9")
    assert done.stdout.startswith("deleted 2 recordings (0.0 MB) and 2 records, 0 errors")
    assert recordings(tmp_path) == set()
    [event] = (tmp_path / "logs" / "asr_events.jsonl").read_text().splitlines()
    assert json.loads(event)["event"] == "retention_pass"
    assert json.loads(event)["records_deleted"] == 2


@pytest.mark.asyncio
async def test_a_store_that_is_away_is_said_in_one_line(asr: Any, cancelled: Any) -> None:
    await cancelled(1)
    asr.environment |= {
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ALLOW_HTTP": "true",
    }  # fmt: skip
    away = asr("retention", ASR_STORE_URL="s3://bucket/asr")
    assert away.returncode == 1
    assert "s3://bucket/asr" in away.stderr
    assert len(away.stderr.strip().splitlines()) == 1


@pytest.mark.asyncio
async def test_without_the_url_of_the_store_it_asks_for_that_first(
    asr: Any, cancelled: Any, redis_server: Any, tmp_path: Path
) -> None:
    await cancelled(1)
    assert asr("reconcile", "--adopt-store").returncode == 0
    del asr.environment["ASR_STORE_URL"]
    refused = asr("retention", "--max-recordings", "0")
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert "is ASR_STORE_URL here that of the API and the workers?" in line
    assert line.index("ASR_STORE_URL") < line.index("--adopt-store")
    assert len(recordings(tmp_path)) == 1


@pytest.mark.asyncio
async def test_repeated_it_lives_through_outages_and_ends_at_sigterm(
    asr: Any, private_redis: Any, tmp_path: Path
) -> None:
    server = private_redis("--appendfsync", "always")
    asr.environment |= {
        "REDIS_PORT": str(server.port),
        "ASR_STORE_URL": (tmp_path / "store").as_uri(),
        "MAX_RECORDINGS": "0",
    }
    store = Store.open(asr.environment["ASR_STORE_URL"])
    server.kill()
    log = tmp_path / "retention.log"
    with log.open("w") as output:
        process = asr.start("retention", "--every", "1", output=output)
    until(lambda: "retention_failed" in log.read_text(), "an outage is logged")
    server.start()
    for _ in range(2):
        connection = RedisConnection(server.settings())
        producer = Producer(connection, QueueSettings())
        await producer.prepare()
        task_id = str(uuid_utils.uuid7())
        await store.put(audio_path(task_id), b"abc")
        await producer.submit(NewTask(task_id=task_id, bytes=3, duration_seconds=1))
        await producer.cancel(task_id)
        until(lambda: not recordings(tmp_path), "the recording goes")
        await connection.close()
        server.kill()
        server.start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events.count("retention_pass") == 2
    assert "retention_recovered" in events
    assert events.count("retention_failed") <= 3, "an outage is said once, not every second"


@pytest.mark.timeout(600)
def test_asr_up_runs_it_and_starts_it_again_when_it_dies(asr: Any, tmp_path: Path) -> None:
    port = free_port("127.0.0.1", 0)
    process = asr.start("up", "--port", str(port), "--data", ".", MAX_RECORDINGS="0")
    printed = ""
    while "Ctrl-C" not in printed:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        printed += line
    socket = re.search(r"redis-cli -s (\S+)", printed)
    assert socket
    first = pid_when(lambda pid: pid, tmp_path)
    with redis.Redis(unix_socket_path=socket[1]) as client:
        until(lambda: client.exists("asr:lock:retention"), "it takes its turn")
        # The bundled recording may have come after the first pass: the next is due at once.
        client.delete("asr:lock:retention")
    os.kill(first, signal.SIGKILL)
    pid_when(lambda pid: pid not in (0, first), tmp_path)
    until(lambda: not recordings(tmp_path), "the bundled recording goes")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "retention was killed by SIGKILL; restarting" in told


def pid_when(wanted: Callable[[int], object], folder: Path) -> int:
    """The process of `asr up` that looks after this folder, once it is as wanted."""
    until(lambda: wanted(retention_pid(folder)), "retention runs")
    return retention_pid(folder)


def retention_pid(folder: Path) -> int:
    """0: none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if (
                "asr_cli retention --every" in line
                and f"{folder}/store".encode() in (entry / "environ").read_bytes()
            ):
                return int(entry.name)
        except OSError:
            continue
    return 0


def test_a_limit_that_makes_no_sense_ends_asr_up_before_it_starts_anything(
    asr: Any, tmp_path: Path
) -> None:
    done: subprocess.CompletedProcess[str] = asr("up", "--once", "--data", ".", MAX_RECORDINGS="-1")
    assert done.returncode == 1
    assert "MAX_RECORDINGS" in done.stderr
    assert not (tmp_path / "redis").exists()

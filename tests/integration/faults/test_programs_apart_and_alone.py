"""Programs two schema versions apart; a queue without workers; readers that never read."""

import asyncio
import socket
from typing import Any

from asr_core.queue import Consumer, Failure, RedisConnection
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings


def test_programs_two_schema_versions_apart_refuse_to_start_and_say_why(
    programs: Any, eventually: Any, free_ports: Any, tmp_path: Any
) -> None:
    redis_port, api_port = free_ports(2)
    newer = programs.redis_at(redis_port, tmp_path / "redis")
    newer.client().set("asr:schema", 3)
    there = {"REDIS_PORT": str(redis_port), "ASR_API_PORT": str(api_port)}
    why = "Redis holds schema 3, this program uses 1: upgrade one version at a time"
    with programs.another_worker(**there) as worker, programs.another_api(**there):
        url = f"http://127.0.0.1:{api_port}"
        eventually(lambda: programs.answers(api_port))
        ready = eventually(lambda: not_ready(programs, url))
        assert ready == {"ready": False, "reasons": [why]}
        submitted = programs.client.post(f"{url}/api/v1/asr/submit", files={"audio": b"x"})
        assert (submitted.status_code, submitted.json()["error"]["code"]) == (
            503,
            "schema_mismatch",
        )
        process = programs.processes[-2]
        assert process.wait(90) == 1
        [told] = worker.events("the worker cannot run")
        assert (told["level"], told["reason"]) == ("critical", why)
    newer.kill()


def not_ready(programs: Any, url: str) -> Any:
    reply = programs.client.get(f"{url}/readyz")
    return reply.status_code == 503 and reply.json()


def test_a_task_in_backoff_counts_as_backlog_while_there_is_no_worker_and_runs_when_one_comes(
    programs: Any, platform_on: Any, eventually: Any
) -> None:
    with programs.worker_stopped():
        platform = platform_on()
        [task_id] = platform.accepted(1)
        asyncio.run(fail_once(platform.redis_port))
        status = platform.status()
        assert (status["delayed"], status["waiting"], status["workers"]) == (1, 0, [])
        status = eventually(lambda: (told := platform.status())["waiting"] and told)
        assert (status["waiting"], status["workers"]) == (1, [])
        name = 'asr_queue_waiting{lane="normal",pool="default"}'
        eventually(lambda: platform.metric(name) == 1)
    platform.completed([task_id])
    assert platform.hash(task_id)["attempt"] == "2"


async def fail_once(port: int) -> None:
    """A worker whose engine fails, and who then dies."""
    connection = RedisConnection(RedisSettings(_env_file=None, REDIS_PORT=port))  # type: ignore[call-arg]
    settings = QueueSettings(_env_file=None, retry_backoff_seconds=2)  # type: ignore[call-arg]
    consumer = Consumer(connection, settings, pool="default", name="dies")
    await consumer.prepare()
    [claim] = await consumer.claim(room_seconds=100, room_tasks=1, in_flight=0)
    failure = Failure(claim.task.task_id, claim.token, "engine_failed", "it broke", False)
    assert await consumer.fail([failure]) == ["ok"]
    await connection.close()


def test_readers_of_history_and_stats_that_never_read_slow_nobody_down(
    platform_on: Any, eventually: Any
) -> None:
    platform = platform_on()
    tasks = platform.accepted(30)
    platform.completed(tasks)
    deaf = []
    for path in ("/api/v1/asr/history?limit=100", "/api/v1/stats?minutes=1440") * 5:
        reader = socket.create_connection(("127.0.0.1", platform.api_port))
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 5)
        deaf.append(reader)
    platform.completed(platform.accepted(10))
    for reader in deaf:
        reader.close()

"""Redis dies and comes back with its append-only file; API and worker live on."""

import threading
import time
from typing import Any

import pytest


class Clients:
    """A few clients that submit, and submit again with the same key until they are answered 202."""

    def __init__(self, platform: Any, count: int = 4) -> None:
        self._platform = platform
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]
        self.accepted: dict[str, str] = {}
        self.refusals: list[Any] = []
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        turn = 0
        while not self._ended.is_set():
            key = f"client-{number}-{turn}"
            reply = self._platform.submit(key)
            if reply.status_code == 202:
                self.accepted[key] = reply.json()["task_id"]
                turn += 1
            else:
                self.refusals.append(reply)
            time.sleep(0.02)

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def platform(platform_on: Any) -> Any:
    return platform_on("--appendfsync", "always")


def test_killed_while_idle_it_costs_a_503_and_nothing_else(platform: Any, eventually: Any) -> None:
    before = platform.accepted(3)
    platform.completed(before)
    platform.redis.kill()
    refused = platform.submit()
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["error"]["code"] == "queue_unavailable"
    assert platform.client.get("/healthz").status_code == 200
    assert platform.client.get("/readyz").status_code == 200
    assert platform.health()["redis"]["status"] == "unavailable"
    assert platform.client.get(f"/api/v1/asr/result/{before[0]}").status_code == 503
    assert platform.metric('asr_queue_up{pool="default"}') == 0
    platform.redis.start()
    platform.completed([*before, *platform.accepted(1)])
    assert platform.health()["data"]["status"] == "ok"


def test_killed_under_load_for_longer_than_a_lease_it_loses_nothing_and_condemns_nobody(
    platform: Any, eventually: Any
) -> None:
    platform.pace(0.3)
    clients = Clients(platform)
    platform.held(3)
    held = platform.raw.zrange("asr:leases:default:normal", 0, -1)
    [(_, last_ms)] = platform.raw.zrange("asr:leases:default:normal", -1, -1, withscores=True)
    platform.redis.kill()
    eventually(lambda: time.time() * 1000 > last_ms)
    platform.redis.start()
    # Whatever was held is held still, or done: none of it counts as waiting.
    status = eventually(platform.status)
    assert not status["trusted"]
    assert status["orphans"] == 0
    assert status["waiting"] <= len(clients.accepted)
    eventually(lambda: platform.submit("after").status_code == 202)
    clients.end()
    platform.pace(0)
    accepted = list(clients.accepted.values())
    assert len(set(accepted)) == len(accepted) > len(held)
    platform.completed(accepted)
    assert clients.refusals
    assert {reply.status_code for reply in clients.refusals} == {503}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in clients.refusals)
    tasks = [platform.hash(task_id) for task_id in (*accepted, *held)]
    assert {(task["attempt"], task.get("crashes", "0")) for task in tasks} == {("1", "0")}
    eventually(lambda: len(platform.stored("results")) == len(accepted) + 1)
    status = eventually(platform.status)
    assert (status["waiting"], status["in_flight"], status["audio_seconds"]) == (0, 0, 0)

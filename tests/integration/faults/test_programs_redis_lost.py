"""Redis loses what it held: it is told and counted, the service goes on, no blob is swept."""

import json
from typing import Any

import pytest

APART = 'asr_queue_losses_total{reason="apart"}'


@pytest.fixture
def platform(platform_on: Any) -> Any:
    return platform_on()


def losses(platform: Any) -> float:
    return platform.metric(APART) or 0.0


def test_flushall_is_told_once_and_the_service_goes_on_until_somebody_adopts_the_store(
    platform: Any, eventually: Any
) -> None:
    before = losses(platform)
    done = platform.accepted(3)
    platform.completed(done)
    platform.pace(1)
    held = platform.accepted(2)
    platform.held(1)
    platform.raw.flushall()
    eventually(lambda: platform.api_log.events("queue_data_lost"), seconds=20)
    platform.pace(0)
    new = platform.accepted(3)
    platform.completed(new)
    assert {platform.state(task_id) for task_id in done + held} == {"404"}
    eventually(lambda: {path.parent.name for path in platform.stored("results")} == {*done, *new})
    assert {path.name for path in platform.stored("audio")} == {*done, *held, *new}
    health = platform.health()
    assert (health["status"], health["data"]["status"]) == ("degraded", "lost")
    assert health["data"]["since"]
    assert losses(platform) == before + 1
    assert platform.metric("asr_queue_data_lost") == 1
    [told] = platform.api_log.events("queue_data_lost")
    assert told["level"] == "error"
    assert "adopt-store" in told["reason"]
    assert told["recordings_without_task"] == 5

    platform.asr("reconcile", "--adopt-store")
    eventually(lambda: platform.health()["data"]["status"] == "ok")
    assert platform.metric("asr_queue_data_lost") == 0
    swept = json.loads(platform.asr("reconcile", "--sweep", "--json"))
    assert swept["deleted"] == 0
    assert len(platform.stored("audio")) == 8
    assert losses(platform) == before + 1
    assert len(platform.api_log.events("queue_data_lost")) == 1


def test_an_empty_volume_is_told_with_what_is_missing(platform: Any, eventually: Any) -> None:
    before = losses(platform)
    done = platform.accepted(2)
    platform.completed(done)
    platform.redis.kill()
    platform.redis.folder = platform.redis.folder.with_name("another")
    platform.redis.start()
    [told] = eventually(lambda: platform.api_log.events("queue_data_lost"), seconds=20)
    assert (told["recordings_without_task"], told["results_without_task"]) == (2, 2)
    assert losses(platform) == before + 1
    assert platform.metric('asr_blobs_without_task{kind="recording"}') == 2
    assert platform.metric('asr_blobs_without_task{kind="result"}') == 2
    assert platform.health()["data"]["recordings_without_task"] == 2
    platform.completed(platform.accepted(1))
    assert platform.raw.get("asr:schema")
    assert platform.raw.smembers("asr:pools") == {"default"}
    assert len(platform.stored("audio")) == 3


def test_an_api_that_is_started_on_the_wrong_redis_serves_and_tells_it_once(
    platform: Any, eventually: Any, free_ports: Any
) -> None:
    """Two pods, one of them started later: one line and one count between them."""
    platform.accepted(1)
    platform.raw.set("asr:epoch", "of-another-store")
    [told] = eventually(lambda: platform.api_log.events("queue_data_lost"), seconds=20)
    assert "of-another-store" in told["reason"]
    [port] = free_ports(1)
    with platform.another_api(ASR_API_PORT=str(port)) as second:
        eventually(lambda: platform.answers(port) and second.events("store_not_marked"))
        platform.completed(platform.accepted(3))
    assert not second.events("queue_data_lost")
    assert len(platform.api_log.events("queue_data_lost")) == 1
    assert platform.raw.get("asr:epoch") == "of-another-store"


def test_a_destroyed_group_and_a_deleted_stream_are_mended_counted_and_told(
    platform: Any, eventually: Any
) -> None:
    groups = platform.metric('asr_queue_mended_total{what="groups"}') or 0
    readded = platform.metric('asr_queue_mended_total{what="readded"}') or 0
    platform.pace(2)
    tasks = platform.accepted(12)
    platform.held(1)
    platform.raw.xgroup_destroy("asr_tasks", "asr_workers")
    eventually(lambda: (platform.metric('asr_queue_mended_total{what="groups"}') or 0) > groups)
    platform.raw.delete("asr_tasks")
    eventually(lambda: (platform.metric('asr_queue_mended_total{what="readded"}') or 0) > readded)
    platform.pace(0)
    platform.completed(tasks)
    assert {platform.hash(task_id)["attempt"] for task_id in tasks} == {"1"}
    assert any(told["readded"] for told in platform.api_log.events("queue_mended"))
    assert len(platform.stored("results")) == 12
    assert platform.health()["data"]["status"] == "ok"

"""History: newest first, page by page, by state."""

from __future__ import annotations

import httpx
import pytest

pytestmark = pytest.mark.asyncio

URL = "/api/v1/asr/history"


async def test_all_pages_together_hold_every_task_once_newest_first(submit, client):
    ids = [(await submit()).json()["task_id"] for _ in range(5)]
    seen, cursor, pages = [], "", 0
    while True:
        body = (await client.get(URL, params={"limit": 2, "cursor": cursor})).json()
        seen += [task["task_id"] for task in body["tasks"]]
        pages += 1
        if body["next_cursor"] is None:
            break
        cursor = body["next_cursor"]
    assert seen == ids[::-1]
    assert pages == 3


async def test_an_empty_history_is_an_empty_page(client):
    body = (await client.get(URL)).json()
    assert (body["tasks"], body["next_cursor"]) == ([], None)


async def test_it_tells_how_long_what_is_finished_stays(client, start_platform):
    assert (await client.get(URL)).json()["retention"] == {
        "max_recordings": 10,
        "recordings_min_age_seconds": 3600,
        "recordings_max_age_seconds": None,
        "results_max_age_seconds": 7 * 86_400,
    }
    none = start_platform(max_recordings=0, recordings_max_age_days=0.5, results_max_age_days=None)
    async with httpx.AsyncClient(base_url=none.url) as other:
        assert (await other.get(URL)).json()["retention"] == {
            "max_recordings": 0,
            "recordings_min_age_seconds": 0,
            "recordings_max_age_seconds": 43_200,
            "results_max_age_seconds": None,
        }


async def test_a_state_filters(submit, client, platform, claim, transcript):
    first = (await submit()).json()["task_id"]
    second = (await submit()).json()["task_id"]
    consumer = await platform.consumer()
    await platform.complete(consumer, await claim(consumer), transcript)
    completed = (await client.get(URL, params={"state": "completed"})).json()["tasks"]
    queued = (await client.get(URL, params={"state": "queued"})).json()["tasks"]
    assert [task["task_id"] for task in completed] == [first]
    assert [task["task_id"] for task in queued] == [second]


@pytest.mark.parametrize(
    ("name", "value"), [("state", "lost"), ("limit", "0"), ("limit", "201"), ("cursor", "a b")]
)
async def test_a_parameter_out_of_range_is_422(client, name, value):
    reply = await client.get(URL, params={name: value})
    assert reply.status_code == 422
    assert reply.json()["error"]["param"] == name
    assert reply.json()["error"]["code"] == "invalid_option"

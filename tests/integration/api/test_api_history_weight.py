"""A page of the history: bounded in bytes, and never as a whole in the API's memory."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from typing import Any

import httpx
import pytest
import pytest_asyncio

from asr_api.app import create_app
from asr_api.tasks.history_page import GROUP_BYTES, PAGE_MAX_BYTES
from asr_core.options import TaskOptions
from asr_core.queue import Producer
from asr_core.task import NewTask
from asr_core.text_limits import HOTWORDS, PROMPT

pytestmark = pytest.mark.asyncio

URL = "/api/v1/asr/history"
TASKS = 200
WORDS = HOTWORDS.fitting([f"{i:03}" + "x" * 97 for i in range(100)])


@pytest_asyncio.fixture
async def ids(platform: Any) -> list[str]:
    """Tasks with the longest texts that a request may bring, newest first."""
    producer = Producer(platform.connect(), platform.settings)
    await producer.prepare()
    made = [f"0197d4a5-2f6e-7c3a-9b1d-{number:012}" for number in range(TASKS)]
    for task_id in made:
        options = TaskOptions(hotwords=WORDS, prompt="é" * PROMPT.characters)
        await producer.submit(
            NewTask(task_id=task_id, bytes=1, duration_seconds=1, options=options)
        )
    return made[::-1]


async def make_heavy(platform: Any, ids: list[str]) -> None:
    """As releases without bounds stored them: 125 kB of words each."""
    keys = platform.connect().keys
    options = TaskOptions(hotwords=("x" * 125_000,)).model_dump_json()
    for task_id in ids:
        await platform.admin().hset(keys.task(task_id), "options", options)


async def test_a_page_is_bounded_in_bytes_and_its_cursor_goes_on_behind_it(
    client: httpx.AsyncClient, platform: Any, ids: list[str]
) -> None:
    await make_heavy(platform, ids[10:14])
    seen: list[str] = []
    cursor, pages = "", 0
    while True:
        reply = await client.get(URL, params={"limit": TASKS, "cursor": cursor})
        assert len(reply.content) < PAGE_MAX_BYTES + 1024
        body = reply.json()
        assert list(body) == ["tasks", "retention", "next_cursor"]
        assert body["tasks"]
        seen += [task["task_id"] for task in body["tasks"]]
        pages += 1
        if body["next_cursor"] is None:
            break
        cursor = body["next_cursor"]
    assert seen == ids
    assert pages > 4


async def test_one_task_that_is_heavier_than_a_page_has_a_page_of_its_own(
    client: httpx.AsyncClient, platform: Any, ids: list[str]
) -> None:
    options = TaskOptions(hotwords=("x" * PAGE_MAX_BYTES,)).model_dump_json()
    task_key = platform.connect().keys.task(ids[0])
    await platform.admin().hset(task_key, "options", options)
    body = (await client.get(URL, params={"limit": 3})).json()
    assert [task["task_id"] for task in body["tasks"]] == ids[:1]
    rest = (await client.get(URL, params={"limit": 3, "cursor": body["next_cursor"]})).json()
    assert [task["task_id"] for task in rest["tasks"]] == ids[1:4]


class DeafReader:
    """A client at the app's side of the wire: it takes the head and the first bytes of a reply,
    then nothing more until it is told to.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._reads = asyncio.Event()
        self._asked = False
        self.deaf = asyncio.Event()
        self.pieces: list[bytes] = []

    async def get(self, query: str) -> None:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": URL, "raw_path": URL.encode(), "root_path": "",
            "query_string": query.encode(), "headers": [(b"host", b"127.0.0.1")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        await self._app(scope, self._receive, self._send)

    def read(self) -> None:
        self._reads.set()

    async def _receive(self) -> dict[str, Any]:
        if self._asked:
            await asyncio.Event().wait()
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Any) -> None:
        body = message.get("body", b"")
        if not body:
            return
        self.pieces.append(body)
        if len(self.pieces) > 1:
            self.deaf.set()
            await self._reads.wait()


async def test_a_reader_that_reads_nothing_holds_up_a_few_records_and_not_a_page(
    platform: Any, ids: list[str]
) -> None:
    """Twelve of them took the API from 89 to 597 MB. Counted in bytes that Python holds."""
    admin = platform.admin()
    app = create_app(platform.settings)  # in this loop
    async with asyncio.timeout(60), app.router.lifespan_context(app):
        warm = DeafReader(app)
        warm.read()
        await warm.get(f"limit={TASKS}")
        read_whole = await _records_read(admin)
        readers = [DeafReader(app) for _ in range(12)]
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        replies = [asyncio.create_task(one.get(f"limit={TASKS}")) for one in readers]
        for one in readers:
            await one.deaf.wait()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        asked = await _records_read(admin) - read_whole
        for one in readers:
            one.read()
        await asyncio.gather(*replies)
    # Of 200 records each, with 8 kB of words, which were all read and held before.
    assert asked <= 12 * 8
    assert held - before < 12 * 6 * GROUP_BYTES
    for one in readers:
        assert max(map(len, one.pieces)) < 3 * GROUP_BYTES
        body = json.loads(b"".join(one.pieces))
        assert [task["task_id"] for task in body["tasks"]] == ids[: len(body["tasks"])]


async def _records_read(admin: Any) -> int:
    stats = await admin.info("commandstats")
    return int(stats.get("cmdstat_hgetall", {"calls": 0})["calls"])


async def test_a_page_that_loses_redis_in_the_middle_ends_and_its_cursor_goes_on(
    start_platform: Any, own_redis: Any
) -> None:
    platform = start_platform(redis_port=own_redis.port)
    producer = Producer(platform.connect(), platform.settings)
    await producer.prepare()
    made = [f"0197d4a5-2f6e-7c3a-9b1d-{number:012}" for number in range(40)]
    for task_id in made:
        await producer.submit(NewTask(task_id=task_id, bytes=1, duration_seconds=1))
    app = create_app(platform.settings)
    async with asyncio.timeout(60), app.router.lifespan_context(app):
        reader = DeafReader(app)
        reply = asyncio.create_task(reader.get("limit=40"))
        await reader.deaf.wait()
        own_redis.kill()
        reader.read()
        await reply
    body = json.loads(b"".join(reader.pieces))
    ids = [task["task_id"] for task in body["tasks"]]
    assert 0 < len(ids) < 40
    assert ids == made[::-1][: len(ids)]
    assert body["next_cursor"] == ids[-1]

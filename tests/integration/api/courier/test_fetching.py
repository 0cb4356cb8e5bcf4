"""Recordings by URL: fetched off the request path, never from inside, and nothing is lost."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from asr_core.queue import BacklogReader, Fetching, Producer, QueueReconciler

pytestmark = pytest.mark.asyncio
SubmitUrl = Callable[..., Awaitable[str]]
Ended = Callable[..., Awaitable[dict[str, Any]]]


@pytest_asyncio.fixture
async def http(own_platform: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=own_platform.url, timeout=30) as client:
        yield client


@pytest.fixture
def submit_url(http: httpx.AsyncClient) -> SubmitUrl:
    async def submit(url: str, **options: Any) -> str:
        reply = await http.post("/api/v1/asr/submit", json={"url": url, **options})
        assert reply.status_code == 202, reply.text
        assert (reply.json()["status"], reply.json()["position"]) == ("fetching", None)
        return str(reply.json()["task_id"])

    return submit


@pytest.fixture
def in_state(http: httpx.AsyncClient) -> Ended:
    """A task once it is in this state."""

    async def look(task_id: str, state: str, seconds: float = 20) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            body: dict[str, Any] = (await http.get(f"/api/v1/asr/result/{task_id}")).json()
            if body["status"] == state:
                return body
            assert time.monotonic() < deadline, body
            await asyncio.sleep(0.03)

    return look


async def test_a_recording_is_fetched_probed_stored_and_queued(
    own_platform: Any,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    server = await start_server(answers.reply(200, wav))
    task_id = await submit_url(server.url("/talks/monday%20talk.wav?sig=secret"), lane="batch")
    fetching = await in_state(task_id, "fetching")
    assert (fetching["bytes"], fetching["audio_available"]) == (0, False)
    await start_courier()
    queued = await in_state(task_id, "queued")
    assert (queued["bytes"], queued["duration_seconds"]) == (len(wav), 1.0)
    assert (queued["filename"], queued["content_type"]) == ("monday talk.wav", "audio/wav")
    assert (queued["lane"], queued["audio_available"]) == ("batch", True)
    assert await own_platform.store.get(f"audio/{task_id}") == wav
    (request,) = server.requests
    assert request.path == "/talks/monday%20talk.wav?sig=secret"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    task = await Producer(own_platform.connect(), own_platform.settings).get(task_id)
    assert task.source_url == ""


async def test_a_task_that_is_being_fetched_is_known_everywhere_and_waits_for_no_worker(
    own_platform: Any, http: httpx.AsyncClient, submit_url: SubmitUrl
) -> None:
    task_id = await submit_url("http://127.0.0.1:9/a.wav")
    tasks = (await http.get("/api/v1/asr/history", params={"state": "fetching"})).json()["tasks"]
    assert [task["task_id"] for task in tasks] == [task_id]
    assert (await http.get("/api/v1/asr/queue/status")).status_code == 200
    connection = own_platform.connect()
    backlog = await BacklogReader(connection, own_platform.settings).read()
    assert (backlog.waiting, backlog.delayed, backlog.audio_seconds) == (0, 0, 0)
    reconciled = await QueueReconciler(connection, own_platform.settings).reconcile(force=True)
    assert reconciled is not None
    assert reconciled.repaired == {}
    audio = await http.get(f"/api/v1/asr/audio/{task_id}")
    assert (audio.status_code, audio.json()["error"]["code"]) == (409, "state_conflict")
    text = await http.get(f"/api/v1/asr/result/{task_id}", params={"format": "text"})
    assert text.status_code == 409
    assert (await http.post(f"/api/v1/asr/retry/{task_id}")).status_code == 409
    async with http.stream("GET", f"/api/v1/asr/events/{task_id}") as events:
        async for line in events.aiter_lines():
            if line.startswith("data: "):
                assert '"status": "fetching"' in line
                break
    assert (await http.delete(f"/api/v1/asr/task/{task_id}")).status_code == 200
    assert await Fetching(connection, own_platform.settings).depth() == 0


async def test_one_that_fell_out_of_its_line_is_put_back_by_reconcile(
    own_platform: Any,
    redis_server: Any,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    server = await start_server(answers.reply(200, wav))
    task_id = await submit_url(server.url("/a.wav"))
    connection = own_platform.connect()
    with redis_server.client() as raw:
        raw.delete(*raw.scan_iter("*asr:line*"))
    reconciled = await QueueReconciler(connection, own_platform.settings).reconcile(force=True)
    assert reconciled is not None
    assert reconciled.repaired == {"readded": 1}
    await start_courier()
    await in_state(task_id, "queued")


async def test_what_will_not_change_fails_at_once(
    start_server: Any, answers: Any, start_courier: Any, submit_url: SubmitUrl, in_state: Ended
) -> None:
    expected = {404: "url_not_found", 410: "url_not_found", 403: "fetch_rejected"}
    servers = [await start_server(answers.reply(status)) for status in expected]
    ids = [await submit_url(server.url()) for server in servers]
    await start_courier()
    codes = [(await in_state(task_id, "failed"))["error"]["code"] for task_id in ids]
    assert codes == list(expected.values())
    assert [len(server.requests) for server in servers] == [1, 1, 1]


async def test_a_server_that_is_away_for_a_while_is_asked_again(
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    server = await start_server(
        answers.reply(503), answers.stall(wav[:100], announced=len(wav)), answers.reply(200, wav)
    )
    task_id = await submit_url(server.url())
    await start_courier(fetch_idle_seconds=0.3)
    assert (await in_state(task_id, "queued"))["bytes"] == len(wav)
    assert len(server.requests) == 3


async def test_a_server_that_stays_away_fails_the_task_after_five_more_tries_and_a_retry_asks_anew(
    http: httpx.AsyncClient,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    server = await start_server(*[answers.reply(500)] * 6, answers.reply(200, wav))
    task_id = await submit_url(server.url())
    await start_courier(retry_backoff_seconds=0.02)
    failed = await in_state(task_id, "failed")
    assert failed["error"] == {"code": "fetch_unavailable", "message": "The server answered 500."}
    assert len(server.requests) == 6
    reply = await http.post(f"/api/v1/asr/retry/{task_id}")
    assert (reply.status_code, reply.json()["status"]) == (202, "fetching")
    await in_state(task_id, "queued")


async def test_an_error_that_nobody_foresaw_is_not_tried_for_ever(
    start_courier: Any, submit_url: SubmitUrl, in_state: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    async def broken(*_: Any) -> None:
        tries.append(1)
        raise RuntimeError("secret detail")

    monkeypatch.setattr("asr_api.courier.fetches.download", broken)
    task_id = await submit_url("http://127.0.0.1:9/a.wav")
    await start_courier(retry_limit=1)
    error = (await in_state(task_id, "failed"))["error"]
    assert (error["code"], len(tries)) == ("fetch_broken", 2)
    assert "secret" not in error["message"]


@pytest.mark.parametrize("announced", [True, False])
async def test_more_bytes_than_an_upload_may_have_are_cut_off(
    announced: bool,
    own_platform: Any,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
) -> None:
    answer = answers.stall(b"", announced=10**12) if announced else answers.endless()
    server = await start_server(answer)
    task_id = await submit_url(server.url())
    await start_courier(max_upload_bytes=1_000_000)
    assert (await in_state(task_id, "failed"))["error"]["code"] == "too_large"
    assert own_platform.stored() == []


async def test_a_download_that_trickles_ends_with_its_time(
    start_server: Any, answers: Any, start_courier: Any, submit_url: SubmitUrl, in_state: Ended
) -> None:
    server = await start_server(answers.endless(0.05, b"x"))
    task_id = await submit_url(server.url())
    await start_courier(fetch_timeout_seconds=0.5)
    assert (await in_state(task_id, "failed"))["error"]["code"] == "fetch_timeout"


async def test_what_is_no_audio_and_what_is_compressed_unasked_fails_with_its_code(
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    page = await start_server(answers.reply(200, b"<html>" * 100))
    bomb = await start_server(answers.reply(200, wav, Content_Encoding="gzip"))
    ids = [await submit_url(server.url()) for server in (page, bomb)]
    await start_courier()
    codes = [(await in_state(task_id, "failed"))["error"]["code"] for task_id in ids]
    assert codes == ["unsupported_audio", "fetch_rejected"]


async def test_redirects_are_followed_five_times_and_never_inward(
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    inside = await start_server(answers.reply(200, wav))
    hop = answers.reply(302, Location="/next")
    five = await start_server(*[hop] * 5, answers.reply(200, wav))
    endless = await start_server(hop)
    inward = await start_server(answers.reply(301, Location=f"http://[::1]:{inside.port}/a.wav"))
    named = await start_server(answers.reply(307, Location="http://0xa9.0xfe.0xa9.0xfe/latest"))
    strange = await start_server(answers.reply(308, Location="file:///etc/passwd"))
    ids = [await submit_url(s.url()) for s in (five, endless, inward, named, strange)]
    await start_courier(fetches_at_once=8, retry_limit=0)
    await in_state(ids[0], "queued")
    failed = [(await in_state(task_id, "failed"))["error"]["code"] for task_id in ids[1:]]
    assert failed == ["fetch_rejected", "fetch_unavailable", "fetch_unavailable", "url_refused"]
    assert (len(five.requests), len(endless.requests)) == (6, 6)
    assert inside.requests == []


async def test_a_name_that_leads_inward_is_refused_by_the_courier(
    start_server: Any, start_courier: Any, submit_url: SubmitUrl, in_state: Ended
) -> None:
    server = await start_server()
    task_id = await submit_url(f"http://localhost:{server.port}/a.wav")
    await start_courier(allow_private_urls=(), retry_limit=0)
    assert (await in_state(task_id, "failed"))["error"]["code"] == "fetch_unavailable"
    assert server.requests == []


async def test_a_download_whose_task_is_deleted_is_dropped_and_leaves_nothing(
    own_platform: Any,
    http: httpx.AsyncClient,
    start_server: Any,
    answers: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    slow = await start_server(answers.endless(0.05, b"x"))
    quick = await start_server(answers.reply(200, wav))
    task_id = await submit_url(slow.url())
    await start_courier(fetches_at_once=1, lease_seconds=0.6)
    await slow.wait_for(1)
    assert (await http.delete(f"/api/v1/asr/task/{task_id}")).status_code == 200
    later = await submit_url(quick.url())
    await in_state(later, "queued")
    assert own_platform.stored() == [f"audio/{later}"]
    assert await Fetching(own_platform.connect(), own_platform.settings).depth() == 0


async def test_the_fetch_of_a_killed_courier_is_done_by_another(
    own_platform: Any,
    start_server: Any,
    answers: Any,
    courier_programs: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    server = await start_server(
        answers.stall(wav[:1000], announced=len(wav)), answers.reply(200, wav)
    )
    task_id = await submit_url(server.url("/a.wav?token=hush"))
    killed = courier_programs.start(lease_seconds=1.0, fetch_idle_seconds=30)
    await server.wait_for(1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    courier_programs.start(lease_seconds=1.0)
    await in_state(task_id, "queued")
    task = await Producer(own_platform.connect(), own_platform.settings).get(task_id)
    assert (task.fetch_tries, len(server.requests)) == (0, 2)
    assert "hush" not in courier_programs.log(0) + courier_programs.log(1)


async def test_a_courier_that_is_stopped_hands_its_fetch_on_at_once(
    start_server: Any,
    answers: Any,
    courier_programs: Any,
    start_courier: Any,
    submit_url: SubmitUrl,
    in_state: Ended,
    wav: bytes,
) -> None:
    server = await start_server(answers.endless(0.05, b"x"), answers.reply(200, wav))
    task_id = await submit_url(server.url())
    stopped = courier_programs.start(lease_seconds=600)
    await server.wait_for(1)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(20) == 0
    await start_courier(lease_seconds=600)
    await in_state(task_id, "queued", 10)


async def test_the_same_key_and_url_are_one_task(
    http: httpx.AsyncClient, own_platform: Any
) -> None:
    def send(url: str) -> Awaitable[httpx.Response]:
        key = {"Idempotency-Key": "k-1"}
        return http.post("/api/v1/asr/submit", json={"url": url}, headers=key)

    first, again, other = [
        await send(f"http://127.0.0.1:9/{name}") for name in ("a.wav", "a.wav", "b.wav")
    ]
    assert first.json()["task_id"] == again.json()["task_id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


BODIES: tuple[tuple[Any, str | None], ...] = (
    ({"url": "http://10.0.0.1/a.wav"}, "url"),
    ({"url": "http://2852039166/a.wav"}, "url"),
    ({"url": "https://user@example.com/a.wav"}, "url"),
    ({"url": "https://example.com/a.wav", "lane": "fast"}, "lane"),
    ({"url": "https://example.com/a.wav", "colour": "red"}, "colour"),
    ({"url": 7}, "url"),
    ({}, "url"),
    ([], None),
)


async def test_a_body_that_cannot_be_served_is_refused_by_name(http: httpx.AsyncClient) -> None:
    for body, param in BODIES:
        reply = await http.post("/api/v1/asr/submit", json=body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)

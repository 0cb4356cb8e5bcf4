"""Events and recordings over connections that break."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from asr_platform import NotFound, ServerUnreachable, streams


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RECONNECT_SECONDS", 0)
    monkeypatch.setattr(streams, "retry_delay", lambda attempt, status: 0)


class Body(httpx.AsyncByteStream):
    """Some bytes, and then a broken connection or the end."""

    def __init__(self, *chunks: bytes, breaks: bool = False) -> None:
        self._chunks = chunks
        self._breaks = breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._breaks:
            raise httpx.ReadError("connection reset")


def event(id: str, status: str, name: str = "state", **more: Any) -> bytes:
    data = json.dumps({"task_id": "t1", "status": status, **more})
    return f"id: {id}\nevent: {name}\ndata: {data}\n\n".encode()


def streamed(*chunks: bytes, breaks: bool = False, status: int = 200) -> httpx.Response:
    return httpx.Response(status, stream=Body(*chunks, breaks=breaks))


def test_events_go_on_after_a_break_and_none_is_told_twice(script: Any) -> None:
    queued, done = event("0-0-000", "queued", position=1), event("1-2-999", "completed")
    half = event("1-1-420", "processing", "progress", progress=0.42)
    answers = [
        streamed(b": stream open\nretry: 3000\n\n", queued, half[:20], breaks=True),
        script.busy(),
        streamed(queued, half, b": heartbeat\n\n"),
        streamed(half, done, b"never read"),
    ]
    with script(*answers) as client:
        told = list(client.events("t1"))
    assert [(one.event, one.status, one.progress) for one in told] == [
        ("state", "queued", 0.0),
        ("progress", "processing", 0.42),
        ("state", "completed", 0.0),
    ]
    assert (told[0].position, told[-1].ended) == (1, True)
    seen = [request.headers.get("Last-Event-ID") for request in script.seen]
    assert seen == [None, "0-0-000", "0-0-000", "1-1-420"]


@pytest.mark.parametrize("end", ["deleted", "no content"])
def test_events_end_with_the_task(script: Any, end: str) -> None:
    last = b'event: deleted\ndata: {"status": "deleted"}\n\n'
    second = streamed(last) if end == "deleted" else httpx.Response(204)
    with script(streamed(event("0-0-000", "queued")), second) as client:
        told = [one.status for one in client.events("t1")]
    assert told == ["queued", *(["deleted"] if end == "deleted" else [])]


def test_events_of_an_unknown_task_and_events_that_are_none_are_errors(script: Any) -> None:
    with script(script.refusal(404, "no task")) as client, pytest.raises(NotFound):
        list(client.events("t1"))
    with (
        script(streamed(b"data: <html>\n\n")) as client,
        pytest.raises(ServerUnreachable, match="cannot be read"),
    ):
        list(client.events("t1"))


def test_a_download_goes_on_where_it_broke(script: Any, tmp_path: Path) -> None:
    answers = [
        streamed(b"RIFF", b"1234", breaks=True),
        streamed(breaks=True, status=206),
        streamed(b"5678", status=206),
    ]
    with script(*answers) as client:
        saved = client.save_audio("t1", tmp_path / "talk.wav")
    assert saved.read_bytes() == b"RIFF12345678"
    ranges = [request.headers.get("Range") for request in script.seen]
    assert ranges == [None, "bytes=8-", "bytes=8-"]
    assert {request.headers["Accept-Encoding"] for request in script.seen} == {"identity"}


def test_a_download_that_cannot_go_on_leaves_nothing_behind(script: Any, tmp_path: Path) -> None:
    whole = [streamed(b"RIFF1234")]
    broken = [streamed(breaks=True, status=206) for _ in range(9)]
    for answers, told in ((whole, "did not go on"), (broken, "at byte 4")):
        with (
            script(streamed(b"RIFF", breaks=True), *answers) as client,
            pytest.raises(ServerUnreachable, match=told),
        ):
            client.save_audio("t1", tmp_path / "talk.wav")
        assert list(tmp_path.iterdir()) == []

"""Replies to bodies that have not been read."""

import asyncio

import pytest

from asr_api.http.early_reply import EarlyReply

pytestmark = pytest.mark.asyncio


class Wire:
    """A client that keeps sending, and what it got."""

    def __init__(self, chunks: int) -> None:
        self.left = chunks
        self.sent: list[dict] = []

    async def receive(self):
        if not self.left:
            await asyncio.Event().wait()
        self.left -= 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": self.left > 0}

    async def send(self, message):
        self.sent.append(message)


async def refuse(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 413, "headers": []})
    await send({"type": "http.response.body", "body": b"too large", "more_body": False})


async def read_all(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok", "more_body": False})


SCOPE = {"type": "http", "headers": [(b"content-length", b"9000")]}


async def test_the_whole_reply_is_out_before_the_rest_is_thrown_away():
    wire = Wire(chunks=9)
    await EarlyReply(refuse)(dict(SCOPE), wire.receive, wire.send)
    assert wire.left == 0
    start, body, end = wire.sent
    assert (b"connection", b"close") in start["headers"]
    assert (body["body"], body["more_body"]) == (b"too large", True)
    assert (end["body"], end["more_body"]) == (b"", False)


async def test_a_client_that_never_ends_is_not_listened_to_for_ever():
    wire = Wire(chunks=1_000_000)
    await EarlyReply(refuse, linger_bytes=50_000)(dict(SCOPE), wire.receive, wire.send)
    assert wire.left > 999_900


async def test_a_client_that_falls_silent_is_not_waited_for():
    wire = Wire(chunks=9)
    wire.left = 2

    async def receive():
        if wire.left == 1:
            await asyncio.Event().wait()
        return await wire.receive()

    await EarlyReply(refuse, linger_seconds=0.01)(dict(SCOPE), receive, wire.send)
    assert wire.sent[-1]["more_body"] is False


async def test_a_reply_to_a_body_that_was_read_is_left_alone():
    wire = Wire(chunks=9)
    await EarlyReply(read_all)(dict(SCOPE), wire.receive, wire.send)
    assert wire.sent[0]["headers"] == []
    assert len(wire.sent) == 2

"""Streams over attempts that come and go, and streams that end badly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

from asr_core.queue import Claim, Consumer, Failure, PartialTranscript, WaiterRegistry
from asr_core.result import Transcript, TranscriptSegment

Desk = Any  # of conftest.py

pytestmark = pytest.mark.asyncio


def heard(*texts: str) -> Transcript:
    segments = tuple(
        TranscriptSegment(start_seconds=place, end_seconds=place + 1, text=text)
        for place, text in enumerate(texts)
    )
    return Transcript(
        text=" ".join(texts),
        language="en",
        duration_seconds=float(len(texts)),
        segments=segments,
        model="embedded",
        engine="sensevoice",
        device="cpu",
    )


async def open_stream(desk: Desk) -> Any:
    call = desk.call(stream=True)
    await desk.until_waiting()
    return await call


async def taken_over(desk: Desk, first: Claim) -> tuple[Consumer, Claim]:
    """The same task in the hands of another worker, as after a crash."""
    await (await desk.platform.consumer()).release([(first.task.task_id, first.token)])
    consumer = await desk.platform.consumer("worker-2")
    (second,) = await consumer.reap(room_seconds=3600, room_tasks=1, in_flight=0)
    assert second.token != first.token
    return consumer, second


async def test_a_second_attempt_is_sent_only_from_where_the_first_one_ended(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
) -> None:
    stream = await open_stream(desk)
    worker = await desk.platform.consumer()
    first = await claim(worker)
    assert first.task.partials
    assert await worker.publish_partial(
        first.task.task_id, first.token, first=0, texts=["one", " two"]
    )
    events = aiter(stream)
    assert (await anext(events)).delta == "one two"

    other, second = await taken_over(desk, first)
    task_id = second.task.task_id
    callers = WaiterRegistry(desk.platform.connect(), grace_seconds=desk.grace_seconds)
    assert await callers.read_partials(task_id, token="", first=0) == PartialTranscript("", ())
    assert not await worker.publish_partial(task_id, first.token, first=2, texts=[" stale"])
    assert await other.publish_partial(task_id, second.token, first=0, texts=["one"])
    assert await other.publish_partial(task_id, second.token, first=1, texts=[" two", " three"])
    assert (await anext(events)).delta == " three"
    await desk.platform.complete(other, second, heard("one", "two", "three", "four"))
    assert (await anext(events)).delta == " four"
    done = await anext(events)
    assert (done.type, done.text) == ("transcript.text.done", "one two three four")
    assert [event async for event in events] == []


async def test_texts_that_are_told_twice_are_sent_once(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
) -> None:
    stream = await open_stream(desk)
    worker = await desk.platform.consumer()
    held = await claim(worker)
    for _ in range(2):
        assert await worker.publish_partial(
            held.task.task_id, held.token, first=0, texts=["one", " two"]
        )
    await desk.platform.complete(worker, held, heard("one", "two"))
    events = [event async for event in stream]
    assert "".join(event.delta for event in events[:-1]) == "one two"


async def test_an_attempt_that_hears_something_else_ends_the_stream_with_an_error(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
) -> None:
    stream = await open_stream(desk)
    worker = await desk.platform.consumer()
    first = await claim(worker)
    await worker.publish_partial(first.task.task_id, first.token, first=0, texts=["one", " two"])
    events = aiter(stream)
    assert (await anext(events)).delta == "one two"
    other, second = await taken_over(desk, first)
    await desk.platform.complete(other, second, heard("one", "too"))
    with pytest.raises(openai.APIError) as caught:
        await anext(events)
    assert caught.value.code == "transcription_restarted"


async def test_a_task_that_fails_ends_the_stream_with_its_error(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
) -> None:
    stream = await open_stream(desk)
    worker = await desk.platform.consumer()
    held = await claim(worker)
    await worker.fail([Failure(held.task.task_id, held.token, "empty_audio", "no samples", True)])
    with pytest.raises(openai.APIError, match="no samples") as caught:
        await anext(aiter(stream))
    assert caught.value.code == "empty_audio"


async def test_partial_texts_are_gone_with_the_end_of_their_task(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
) -> None:
    await open_stream(desk)
    worker = await desk.platform.consumer()
    held = await claim(worker)
    await worker.publish_partial(held.task.task_id, held.token, first=0, texts=["one"])
    redis = desk.platform.admin()
    key = f"{{{desk.platform.settings.key_prefix}}}:asr:partials:{held.task.task_id}"
    assert 0 < await redis.pttl(key) <= 600_000
    await desk.platform.complete(worker, held, heard("one"))
    assert not await redis.exists(key)

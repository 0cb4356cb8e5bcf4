"""Equal requests share a run, and a run ends when everybody who waited for it has gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import openai
import pytest
from openai.types.audio import TranscriptionDiarized

from asr_core.queue import Claim, Consumer, Failure, Waiter, WaiterRegistry
from asr_core.result import Transcript
from asr_core.task import State

Desk = Any  # of conftest.py

pytestmark = pytest.mark.asyncio


async def test_twenty_equal_requests_at_once_are_one_run(
    desk: Desk, work: Callable[[], Awaitable[str]]
) -> None:
    calls = [desk.call() for _ in range(20)]
    await desk.until_waiting(20)
    done = await work()
    texts = [(await call).text for call in calls]
    assert texts == ["good morning"] * 20
    (task,) = await desk.tasks()
    assert (task.task_id, task.attempt) == (done, 1)
    assert desk.platform.stored() == [f"audio/{done}", f"results/{done}/1.json"]


async def test_other_options_and_other_bytes_are_other_runs_and_another_format_is_not(
    desk: Desk, make_wav: Callable[..., bytes]
) -> None:
    desk.call()
    desk.call(response_format="srt")
    await desk.until_waiting(2)
    desk.call(language="en")
    await desk.until_waiting(1, tasks=2)
    desk.call(file=("tone.wav", make_wav(0.5)))
    await desk.until_waiting(1, tasks=3)
    assert len(await desk.tasks()) == 3


async def test_speakers_are_told_apart_in_diarized_json(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]], transcript: Transcript
) -> None:
    call = desk.call(model="gpt-4o-transcribe-diarize", response_format="diarized_json")
    await desk.until_waiting()
    consumer = await desk.platform.consumer()
    claimed = await claim(consumer)
    assert claimed.task.options.speakers
    (said,) = transcript.segments
    segments = (
        said.model_copy(update={"speaker": "A"}),
        said.model_copy(update={"speaker": "B", "start_seconds": 1.0, "end_seconds": 2.5}),
    )
    told = transcript.model_copy(update={"segments": segments})
    await desk.platform.complete(consumer, claimed, told)
    reply = await call
    assert isinstance(reply, TranscriptionDiarized)
    assert [(one.speaker, one.start, one.end) for one in reply.segments] == [
        ("A", 0.0, 1.0),
        ("B", 1.0, 2.5),
    ]
    assert (reply.text, reply.duration, reply.usage.seconds) == ("good morning", 1.0, 1.0)
    assert reply.segments[0].type == "transcript.text.segment"


async def test_a_run_that_was_answered_is_not_joined_any_more(
    desk: Desk, work: Callable[[], Awaitable[str]]
) -> None:
    for runs in (1, 2):
        call = desk.call()
        await desk.until_waiting(1, tasks=runs)
        await work()
        assert (await call).text == "good morning"
    assert len(await desk.tasks()) == 2


async def test_whoever_did_not_get_the_reply_gets_it_when_it_comes_again_and_once(
    desk: Desk, work: Callable[[], Awaitable[str]]
) -> None:
    call = desk.call()
    await desk.until_waiting()
    await desk.hang_up(call)
    done = await work()
    assert (await asyncio.wait_for(desk.call(), 10)).text == "good morning"
    (task,) = await desk.tasks()
    assert (task.task_id, task.attempt) == (done, 1)
    desk.call()
    assert (await desk.until_waiting(1, tasks=2)).task_id != done


async def test_a_reply_that_was_cut_off_half_way_is_given_again_without_another_run(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]], transcript: Transcript
) -> None:
    long = transcript.model_copy(update={"text": "good morning " * 2_000_000})
    async with httpx.AsyncClient(timeout=30) as client:
        form = {"files": {"file": ("tone.wav", desk.wav)}, "data": {"model": "default"}}
        url = f"{desk.platform.url}/v1/audio/transcriptions"

        async def read_a_little() -> bytes:
            async with client.stream("POST", url, **form) as reply:
                return await anext(reply.aiter_raw(1000))

        reading = asyncio.create_task(read_a_little())
        await desk.until_waiting()
        worker = await desk.platform.consumer()
        held = await claim(worker)
        await desk.platform.complete(worker, held, long)
        assert (await reading).startswith(b'{"text":"good')
    assert len((await desk.call()).text) == len(long.text)
    assert [task.task_id for task in await desk.tasks()] == [held.task.task_id]


async def test_failed_and_cancelled_runs_are_not_joined(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
) -> None:
    first = desk.call()
    await desk.until_waiting()
    consumer = await desk.platform.consumer()
    claimed = await claim(consumer)
    failure = Failure(claimed.task.task_id, claimed.token, "unreadable_audio", "no audio", True)
    await consumer.fail([failure])
    with pytest.raises(openai.UnprocessableEntityError) as unreadable:
        await first
    assert (unreadable.value.code, unreadable.value.param) == ("unreadable_audio", "file")
    second = desk.call()
    task = await desk.until_waiting(1, tasks=2)
    await desk.producer.cancel(task.task_id)
    with pytest.raises(openai.ConflictError, match="cancelled"):
        await second
    desk.call()
    await desk.until_waiting(1, tasks=3)


async def test_a_task_is_cancelled_when_the_last_caller_has_been_gone_for_a_while(
    desk: Desk,
) -> None:
    first, second = desk.call(), desk.call()
    task = await desk.until_waiting(2)
    await desk.hang_up(first)
    await desk.stays(task.task_id, State.QUEUED, seconds=2 * desk.grace_seconds)
    left_at = time.monotonic()
    await desk.hang_up(second)
    await desk.until_state(task.task_id, State.CANCELLED)
    assert time.monotonic() - left_at >= desk.grace_seconds
    connection = desk.platform.connect()
    stream = connection.keys.root + "asr_tasks:interactive"
    assert await connection.client.xlen(stream) == 0


async def test_a_caller_that_comes_again_in_time_keeps_its_run(
    desk: Desk, work: Callable[[], Awaitable[str]]
) -> None:
    call = desk.call()
    task = await desk.until_waiting()
    await desk.hang_up(call)
    call = desk.call()
    await desk.stays(task.task_id, State.QUEUED, seconds=2 * desk.grace_seconds)
    done = await work()
    assert (await call).text == "good morning"
    assert [task.task_id for task in await desk.tasks()] == [done]


async def test_a_stream_that_is_left_is_noticed_at_once(desk: Desk) -> None:
    call = desk.call(stream=True)
    task = await desk.until_waiting()
    stream = await call
    await stream.close()
    await desk.until_state(task.task_id, State.CANCELLED, seconds=10)


async def test_tasks_of_other_endpoints_are_never_cancelled_or_joined(desk: Desk) -> None:
    async with httpx.AsyncClient() as native:
        sent = await native.post(
            f"{desk.platform.url}/api/v1/asr/submit",
            files={"audio": ("tone.wav", desk.wav)},
            data={"lane": "interactive"},
        )
    task_id = sent.json()["task_id"]
    call = desk.call()
    own = await desk.until_waiting(1, tasks=2)
    assert own.task_id != task_id
    await desk.hang_up(call)
    await desk.until_state(own.task_id, State.CANCELLED)
    assert (await desk.producer.get(task_id)).state is State.QUEUED


async def test_other_tenants_are_not_joined(desk: Desk) -> None:
    desk.call()
    task = await desk.until_waiting()
    waiter = Waiter("another", desk.grace_seconds)
    callers = WaiterRegistry(desk.platform.connect(), grace_seconds=desk.grace_seconds)
    assert await callers.join("other", task.fingerprint, waiter) is None
    assert await callers.join("default", task.fingerprint, waiter) == task.task_id

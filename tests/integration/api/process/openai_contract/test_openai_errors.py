"""Every class of error that OpenAI's client knows, and whether it tries again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import openai
import pytest

from asr_core.access import Scope
from asr_core.queue import ApiKeyStore, Claim, Consumer, Failure
from asr_core.result import Transcript

Desk = Any  # of conftest.py

pytestmark = pytest.mark.asyncio


async def test_a_task_that_failed_after_its_retries_is_not_tried_again_by_the_client(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
) -> None:
    desk.client = openai.AsyncOpenAI(**{**desk.options, "max_retries": 2})
    call = desk.call()
    await desk.until_waiting()
    worker = await desk.platform.consumer()
    held = await claim(worker)
    await worker.fail([Failure(held.task.task_id, held.token, "engine_failed", "no luck", True)])
    with pytest.raises(openai.InternalServerError, match="engine_failed") as caught:
        await call
    assert (caught.value.status_code, caught.value.code) == (500, "transcription_failed")
    assert len(await desk.tasks()) == 1


async def test_a_request_that_waits_too_long_joins_its_run_when_the_client_tries_again(
    open_desk: Callable[..., Desk],
    claim: Callable[[Consumer], Awaitable[Claim]],
    transcript: Transcript,
) -> None:
    desk = open_desk(transcription_wait_seconds=0.5)
    with pytest.raises(openai.InternalServerError) as caught:
        await desk.call()
    assert (caught.value.status_code, caught.value.code) == (504, "transcription_timeout")
    desk.client = openai.AsyncOpenAI(**{**desk.options, "max_retries": 8})
    call = desk.call()
    # The first was the test's own, the next one is told to the client, which tries again.
    async with httpx.AsyncClient(base_url=desk.platform.url) as reader, asyncio.timeout(20):
        while 'status="504"} 2.0' not in (await reader.get("/metrics")).text:
            await asyncio.sleep(0.05)
    worker = await desk.platform.consumer()
    held = await claim(worker)
    await desk.platform.complete(worker, held, transcript)
    assert (await call).text == "good morning"
    assert [task.task_id for task in await desk.tasks()] == [held.task.task_id]


async def test_a_full_queue_is_a_rate_limit(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(queue_cap=1)
    desk.call()
    await desk.until_waiting()
    with pytest.raises(openai.RateLimitError) as caught:
        await desk.call(language="en")
    assert (caught.value.code, caught.value.type) == ("queue_full", "rate_limit_error")
    assert int(caught.value.response.headers["retry-after"]) > 0


async def test_a_full_queue_still_lets_an_equal_request_join(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk(queue_cap=1)
    desk.call()
    await desk.until_waiting()
    desk.call()
    await desk.until_waiting(2)


async def test_too_large_an_upload_is_413(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(max_upload_bytes=1000)
    with pytest.raises(openai.APIStatusError) as caught:
        await desk.call()
    assert (caught.value.status_code, caught.value.code) == (413, "upload_too_large")
    assert caught.value.param == "file"


async def test_without_redis_the_client_is_told_to_come_again(
    open_desk: Callable[..., Desk], free_port: int
) -> None:
    desk = open_desk(redis_port=free_port)
    with pytest.raises(openai.InternalServerError) as caught:
        await desk.call()
    assert (caught.value.status_code, caught.value.code) == (503, "queue_unavailable")
    assert int(caught.value.response.headers["retry-after"]) > 0
    assert "x-should-retry" not in caught.value.response.headers


async def test_a_result_that_was_deleted_in_between_is_told(
    desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
) -> None:
    call = desk.call()
    task = await desk.until_waiting()
    await desk.producer.delete(task.task_id)
    with pytest.raises(openai.NotFoundError) as caught:
        await call
    assert caught.value.code == "task_not_found"


async def test_keys_are_asked_for_as_the_client_sends_them(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(auth="keys")
    with pytest.raises(openai.AuthenticationError) as unknown:
        await desk.call()
    assert unknown.value.code == "invalid_api_key"
    ring = ApiKeyStore(desk.platform.connect())
    reader, _ = await ring.create("reader", tenant="acme", scopes=(Scope.READ,))
    desk.client = desk.client.copy(api_key=reader)
    assert [model.id async for model in desk.client.models.list()] == ["default"]
    with pytest.raises(openai.PermissionDeniedError):
        await desk.call()


async def test_a_tenants_rate_is_a_rate_limit(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(tenant_rate_per_minute=1)
    await desk.client.models.list()
    with pytest.raises(openai.RateLimitError) as caught:
        await desk.client.models.list()
    assert int(caught.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("strict", [False, True])
async def test_an_option_that_the_model_turned_out_not_to_heed_is_told_and_not_hidden(
    open_desk: Callable[..., Desk],
    claim: Callable[[Consumer], Awaitable[Claim]],
    transcript: Transcript,
    strict: bool,
) -> None:
    """A worker of an older release does not say beforehand what its model can do."""
    desk = open_desk(openai_strict=strict)
    desk.client.audio.transcriptions.create = (  # type: ignore[method-assign]
        desk.client.audio.transcriptions.with_raw_response.create  # type: ignore[assignment]
    )
    call = desk.call(prompt="Redis")
    await desk.until_waiting()
    worker = await desk.platform.consumer()
    held = await claim(worker)
    assert held.task.options.prompt == "Redis"
    unheeded = transcript.model_copy(update={"options_ignored": ("prompt",)})
    await desk.platform.complete(worker, held, unheeded)
    if strict:
        with pytest.raises(openai.BadRequestError) as caught:
            await call
        assert (caught.value.param, caught.value.code) == ("prompt", "unsupported_parameter")
    else:
        assert (await call).headers["x-asr-options-ignored"] == "prompt"

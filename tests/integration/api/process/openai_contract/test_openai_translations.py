"""`POST /v1/audio/translations` by OpenAI's own client, unmodified: of a pool whose model
translates, and of one whose model does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from asr_core.queue import Claim, Consumer, Failure
from asr_core.result import Transcript
from asr_core.task import State
from asr_platform import Client as PlatformClient
from asr_platform import RequestFailed

# OpenAI ends this endpoint in 2027, and its client says so.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")

Client = openai.OpenAI
Desk = Any  # of conftest.py

TRANSLATING_WORKER = str(Path(__file__).with_name("translating_worker.py"))
PROMPT = "Redis, kopf; Kubernetes."


@pytest.fixture(scope="module")
def translating(start_service: Callable[..., Any]) -> Any:
    """The embedded model in the pool `default`, a model that translates in `translator`."""
    service = start_service(ASR_POOLS="default,translator")
    service.programs.worker()
    service.programs.worker(program=[TRANSLATING_WORKER], ASR_POOL="translator")
    for model in ("embedded", "whisper-base"):
        service.wait_for_worker(model)
    return service


@pytest.fixture
def client(translating: Any) -> Iterator[Client]:
    with translating.client() as client:
        yield client


def translate(client: Client, audio: bytes, **options: Any) -> Any:
    values = {"model": "translator", **options}
    return client.audio.translations.create(file=("talk.wav", audio), **values)


@pytest.mark.parametrize(
    "model", ["translator", "whisper-base", "whisper-1", "whisper-large-v3", "openai/whisper-base"]
)
def test_a_translation_is_english_under_every_name_of_a_model(
    client: Client, demo: bytes, model: str
) -> None:
    assert translate(client, demo, model=model).text == "Good morning"


def test_every_format_of_the_contract(client: Client, demo: bytes) -> None:
    assert translate(client, demo, response_format="text") == "Good morning\n"
    assert translate(client, demo, response_format="srt").startswith("1\n00:00:00,000 --> ")
    assert translate(client, demo, response_format="vtt").startswith("WEBVTT\n\n00:00:0")
    verbose = translate(client, demo, response_format="verbose_json")
    assert (verbose.text, verbose.language) == ("Good morning", "english")
    assert verbose.task == "translate"
    assert verbose.duration == pytest.approx(12, abs=0.1)
    assert " ".join(segment.text for segment in verbose.segments) == "Good morning"


def test_the_model_reads_the_prompt_and_what_it_does_not_heed_is_named(
    client: Client, demo: bytes
) -> None:
    reply = client.audio.translations.with_raw_response.create(
        file=("talk.wav", demo), model="whisper-1", prompt=PROMPT, temperature=0.4,
        extra_body={"language": "en"},
    )  # fmt: skip
    assert reply.parse().text == f"Good morning after {PROMPT!r}"
    assert reply.headers["x-asr-options-ignored"] == "temperature, language"


def test_the_same_model_transcribes_where_a_transcript_is_asked_for(
    client: Client, demo: bytes
) -> None:
    file = ("talk.wav", demo)
    said = client.audio.transcriptions.create(file=file, model="whisper-base", prompt=PROMPT)
    assert said.text == f"Guten Morgen after {PROMPT!r}"


@pytest.mark.parametrize("model", ["default", "embedded"])
def test_a_model_that_only_transcribes_refuses_and_names_the_pools_that_translate(
    translating: Any, client: Client, demo: bytes, model: str
) -> None:
    before = translating.task_ids()
    with pytest.raises(openai.BadRequestError) as caught:
        translate(client, demo, model=model)
    error = caught.value
    assert (error.code, error.param) == ("model_cannot_translate", "model")
    assert "(embedded) does not translate; these do: translator" in error.message
    assert translating.task_ids() == before


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"extra_body": {"stream": True}}, "stream", "unsupported_parameter"),
        ({"response_format": "diarized_json"}, "response_format", "unsupported_parameter"),
        ({"response_format": "docx"}, "response_format", "invalid_option"),
        ({"temperature": 1.5}, "temperature", "invalid_option"),
        ({"prompt": "x" * 16_385}, "prompt", "invalid_option"),
    ],
)
def test_what_no_translation_can_be_is_a_bad_request(
    client: Client, demo: bytes, options: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        translate(client, demo, **options)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_submit_with_the_task_translate_is_translated_or_refused(
    translating: Any, tmp_path: Path, demo: bytes
) -> None:
    (tmp_path / "talk.wav").write_bytes(demo)
    with PlatformClient(translating.api.url) as client:
        asked = {"task": "translate", "prompt": PROMPT}
        done = client.transcribe(tmp_path / "talk.wav", pool="translator", **asked)  # type: ignore[arg-type]
        assert (done.text, done.options_ignored) == (f"Good morning after {PROMPT!r}", ())
        options = client.task(done).options
        assert (options["task"], options["prompt"]) == ("translate", PROMPT)
        with pytest.raises(RequestFailed, match="these do: translator") as caught:
            client.submit(tmp_path / "talk.wav", task="translate")
        with pytest.raises(RequestFailed) as by_url:
            client.submit("https://example.com/talk.wav", task="translate")
    for error in (caught.value, by_url.value):
        assert (error.status, error.code, error.param) == (400, "model_cannot_translate", "task")


def test_what_a_pool_can_is_told_with_its_queue(translating: Any) -> None:
    with PlatformClient(translating.api.url) as client:
        able = client.queue_status(pool="translator").features
        assert able == ("language", "prompt", "task")
        assert "task" not in client.queue_status(pool="default").features


@pytest.mark.asyncio
class TestOfAPoolThatNeverHadAWorker:
    """Nobody knows what its model can: the worker that gets the task refuses it."""

    async def test_a_worker_that_only_transcribes_ends_it_with_a_bad_request(
        self, desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]]
    ) -> None:
        call = desk.call(translate=True)
        await desk.until_waiting()
        worker = await desk.platform.consumer()
        held = await claim(worker)
        assert held.task.options.task == "translate"
        why = "The model 'embedded' of pool 'default' does not translate."
        code = "model_cannot_translate"
        await worker.fail([Failure(held.task.task_id, held.token, code, why, True)])
        with pytest.raises(openai.BadRequestError, match="does not translate") as caught:
            await call
        assert (caught.value.code, caught.value.param) == (code, "model")

    async def test_a_transcript_by_a_worker_of_an_older_release_is_no_translation(
        self, desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]], transcript: Transcript
    ) -> None:
        call = desk.call(translate=True)
        await desk.until_waiting()
        worker = await desk.platform.consumer()
        held = await claim(worker)
        without = transcript.model_copy(update={"options_ignored": ("task",)})
        await desk.platform.complete(worker, held, without)
        with pytest.raises(openai.BadRequestError, match="did not translate") as caught:
            await call
        assert caught.value.code == "model_cannot_translate"

    async def test_equal_requests_share_a_run_and_a_transcription_is_another(
        self, desk: Desk, claim: Callable[[Consumer], Awaitable[Claim]], transcript: Transcript
    ) -> None:
        desk.call()
        await desk.until_waiting()
        calls = [desk.call(translate=True) for _ in range(3)]
        await desk.until_waiting(3, tasks=2)
        worker = await desk.platform.consumer()
        for _ in range(2):
            await desk.platform.complete(worker, await claim(worker), transcript)
        assert [(await call).text for call in calls] == ["good morning"] * 3
        assert len(await desk.tasks()) == 2

    async def test_nobody_who_waits_any_more_cancels_it(self, desk: Desk) -> None:
        call = desk.call(translate=True)
        task = await desk.until_waiting()
        await desk.hang_up(call)
        await desk.until_state(task.task_id, State.CANCELLED)

    async def test_a_full_queue_is_a_rate_limit(self, open_desk: Callable[..., Desk]) -> None:
        desk = open_desk(queue_cap=1)
        desk.call()
        await desk.until_waiting()
        with pytest.raises(openai.RateLimitError) as caught:
            await desk.call(translate=True)
        assert caught.value.code == "queue_full"

    async def test_keys_and_sizes_are_asked_for_as_of_transcriptions(
        self, open_desk: Callable[..., Desk]
    ) -> None:
        with pytest.raises(openai.AuthenticationError):
            await open_desk(auth="keys").call(translate=True)
        with pytest.raises(openai.APIStatusError) as caught:
            await open_desk(max_upload_bytes=1000).call(translate=True)
        assert (caught.value.status_code, caught.value.code) == (413, "upload_too_large")

    async def test_its_route_is_a_label_of_the_metrics(self, desk: Desk) -> None:
        with pytest.raises(openai.NotFoundError):
            await desk.call(translate=True, model="whisper-9")
        async with httpx.AsyncClient(base_url=desk.platform.url) as reader:
            told = (await reader.get("/metrics")).text
        assert 'route="/v1/audio/translations"' in told

"""OpenAI's own client, unmodified: models, every format, both granularities, errors, streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

Client = openai.OpenAI


def transcribe(client: Client, audio: bytes, **options: Any) -> Any:
    values = {"model": "whisper-1", **options}
    return client.audio.transcriptions.create(file=("talk.wav", audio), **values)


def test_models_are_pools_and_what_serves_them(client: Client) -> None:
    assert [model.id for model in client.models.list()] == ["default", "embedded"]
    for name in ("default", "embedded", "whisper-1"):
        assert client.models.retrieve(name).id == name
        assert "no human voice" in client.models.retrieve(name).notice
    assert all("no human voice" in model.notice for model in client.models.list())
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("whisper-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("stream", [False, True])
def test_every_reply_of_the_bundled_model_says_that_it_knows_no_human_voice(
    client: Client, demo: bytes, stream: bool
) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(
        file=("talk.wav", demo), model="whisper-1", stream=stream
    )
    assert "no human voice" in raw.headers["x-asr-model-notice"]


@pytest.mark.parametrize("model", ["whisper-1", "default", "embedded"])
def test_json_is_the_text_with_its_usage(
    client: Client, demo: bytes, spoken: str, model: str
) -> None:
    reply = transcribe(client, demo, model=model)
    assert reply.text == spoken
    assert reply.usage.type == "duration"
    assert reply.usage.seconds == pytest.approx(12, abs=0.1)


def test_text_srt_and_vtt_are_plain_bodies(client: Client, demo: bytes, spoken: str) -> None:
    assert transcribe(client, demo, response_format="text") == f"{spoken}\n"
    srt = transcribe(client, demo, response_format="srt")
    assert srt.startswith("1\n00:00:00,")
    assert transcribe(client, demo, response_format="vtt").startswith("WEBVTT\n\n00:00:00.")


def test_verbose_json_has_segments_unless_only_words_are_asked_for(
    client: Client, demo: bytes, spoken: str
) -> None:
    verbose = transcribe(client, demo, response_format="verbose_json")
    assert (verbose.text, verbose.language) == (spoken, "english")
    assert isinstance(verbose.duration, float)
    assert verbose.duration == pytest.approx(12, abs=0.1)
    assert verbose.words is None
    assert " ".join(segment.text for segment in verbose.segments) == spoken
    for number, segment in enumerate(verbose.segments):
        assert segment.id == number
        assert segment.seek == round(segment.start * 100)
        assert segment.start < segment.end <= verbose.duration
        assert (segment.tokens, segment.temperature, segment.no_speech_prob) == ([], 0, 0)
        assert segment.avg_logprob < 0 < segment.compression_ratio


def test_words_stand_at_the_top_level(client: Client, demo: bytes, spoken: str) -> None:
    asked = {"response_format": "verbose_json"}
    words = transcribe(client, demo, timestamp_granularities=["word"], **asked)
    assert [word.word for word in words.words] == spoken.split()
    assert all(a.end <= b.start + 0.05 for a, b in zip(words.words, words.words[1:], strict=False))
    assert words.segments is None
    both = transcribe(client, demo, timestamp_granularities=["word", "segment"], **asked)
    assert both.words == words.words
    assert both.segments


def test_what_changes_nothing_is_taken(client: Client, demo: bytes, spoken: str) -> None:
    reply = transcribe(
        client,
        demo,
        language="en",
        temperature=0,
        chunking_strategy="auto",
        prompt="",
        stream=False,
    )
    assert reply.text == spoken


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"response_format": "docx"}, "response_format", "invalid_option"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities", "invalid_option"),
        ({"stream": True, "response_format": "srt"}, "stream", "unsupported_parameter"),
        ({"temperature": 1.5}, "temperature", "invalid_option"),
        ({"language": "klingon"}, "language", "invalid_option"),
    ],
)
def test_what_contradicts_itself_is_refused_by_every_server(
    client: Client, demo: bytes, options: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        transcribe(client, demo, **options)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_what_is_not_heeded_is_told_in_a_header_and_in_the_task(
    client: Client, service: Any, demo: bytes, spoken: str
) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(
        file=("talk.wav", demo),
        model="whisper-1",
        language="fr",
        temperature=0.4,
        prompt="Redis, kopf",
        include=["logprobs"],
        chunking_strategy={"type": "server_vad"},
        response_format="diarized_json",
        extra_body={"vad_filter": True},
    )
    told = raw.headers["x-asr-options-ignored"].split(", ")
    assert sorted(told) == [
        *("chunking_strategy", "include", "language", "prompt", "response_format", "temperature"),
        "vad_filter",
    ]
    assert raw.parse().text == spoken
    task_id = service.task_ids()[0]
    task = httpx.get(f"{service.api.url}/api/v1/asr/result/{task_id}").json()
    assert task["options_ignored"] == told
    assert task["options"]["language"] == "auto"


def test_a_stream_tells_it_with_its_first_bytes(client: Client, demo: bytes, spoken: str) -> None:
    create = client.audio.transcriptions.with_streaming_response.create
    with create(file=("talk.wav", demo), model="whisper-1", stream=True, temperature=1) as raw:
        assert raw.headers["x-asr-options-ignored"] == "temperature"
        assert spoken.split()[0] in raw.read().decode()


@pytest.mark.parametrize("language", ["en", "EN", "en-US", "english"])
def test_a_language_is_heeded_however_it_is_written(
    client: Client, demo: bytes, spoken: str, language: str
) -> None:
    raw = client.audio.transcriptions.with_raw_response.create(
        file=("talk.wav", demo), model="whisper-1", language=language
    )
    assert "x-asr-options-ignored" not in raw.headers
    assert raw.parse().text == spoken


def test_a_request_that_comes_again_with_another_temperature_is_the_same_request(
    client: Client, service: Any, demo: bytes
) -> None:
    """What is not heeded makes no other run, so what clients vary in vain is joined."""
    transcribe(client, demo, temperature=0.2)
    first = service.task(service.task_ids()[0])
    transcribe(client, demo, temperature=0.6, prompt="Redis")
    assert service.task(service.task_ids()[0])["fingerprint"] == first["fingerprint"]


def test_the_calls_of_funasrs_own_smoke_test_are_answered(
    service: Any, demo: bytes, spoken: str
) -> None:
    """It asks for `/health`, the models, and a transcript of the model `sensevoice`."""
    with httpx.Client(base_url=service.api.url, timeout=60) as http:
        assert http.get("/health").json()["status"] == "ok"
        assert http.get("/v1/models").json()["object"] == "list"
        for model in ("sensevoice", "paraformer-zh", "iic/SenseVoiceSmall", "embedded"):
            form = {"model": model, "response_format": "verbose_json"}
            reply = http.post(
                "/v1/audio/transcriptions", data=form, files={"file": ("a.wav", demo)}
            )
            assert (reply.status_code, reply.json()["text"]) == (200, spoken)


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"response_format": "diarized_json"}, "response_format", "unsupported_parameter"),
        ({"response_format": "docx"}, "response_format", "invalid_option"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities", "invalid_option"),
        ({"temperature": 0.4}, "temperature", "unsupported_parameter"),
        ({"prompt": "Redis, kopf"}, "prompt", "unsupported_parameter"),
        ({"keywords": ["Redis"]}, "keywords", "unsupported_parameter"),
        ({"include": ["logprobs"]}, "include", "unsupported_parameter"),
        ({"languages": ["en", "zh"]}, "languages", "unsupported_parameter"),
        ({"known_speaker_names": ["Ann"]}, "known_speaker_names", "unsupported_parameter"),
        ({"language": "klingon"}, "language", "invalid_option"),
        ({"language": "fr"}, "language", "unsupported_parameter"),
        (
            {"chunking_strategy": {"type": "server_vad"}},
            "chunking_strategy[type]",
            "invalid_option",
        ),
        ({"stream": True, "response_format": "srt"}, "stream", "unsupported_parameter"),
        ({"extra_body": {"beam_size": 5}}, "beam_size", "invalid_option"),
    ],
)
def test_a_strict_server_refuses_by_name_what_it_cannot_serve(
    strict_client: Client, demo: bytes, options: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        transcribe(strict_client, demo, **options)
    error = caught.value
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
    assert param.partition("[")[0] in error.message


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(
    client: Client, demo: bytes
) -> None:
    with pytest.raises(openai.NotFoundError, match="default, embedded") as caught:
        transcribe(client, demo, model="whisper-9")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_a_file_that_is_no_audio_is_a_bad_request_and_a_broken_one_cannot_be_processed(
    client: Client, demo: bytes
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        transcribe(client, b"Dear all, " * 100)
    assert (caught.value.param, caught.value.code) == ("file", "unsupported_audio")
    with pytest.raises(openai.UnprocessableEntityError) as unprocessable:
        transcribe(client, demo[:44])
    assert (unprocessable.value.param, unprocessable.value.code) == ("file", "empty_audio")


def test_a_form_without_model_or_file_is_a_bad_request(client: Client, demo: bytes) -> None:
    url = f"{client.base_url}audio/transcriptions"
    without_model = httpx.post(url, files={"file": ("talk.wav", demo)})
    without_file = httpx.post(url, data={"model": "default"}, files={"x": ("", b"")})
    for reply, param in ((without_model, "model"), (without_file, "file")):
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def stream(client: Client, audio: bytes) -> tuple[list[Any], list[float]]:
    """All events of a stream, and when they came."""
    events, times = [], []
    with transcribe(client, audio, stream=True) as replies:
        for event in replies:
            events.append(event)
            times.append(time.monotonic())
    return events, times


def test_a_stream_gives_texts_as_they_are_ready_and_then_the_whole(
    client: Client, wav_times: Callable[[int], bytes], spoken: str
) -> None:
    events, times = stream(client, wav_times(3))
    deltas, done = events[:-1], events[-1]
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert len(deltas) > 3
    assert "".join(delta.delta for delta in deltas) == done.text
    assert done.text == " ".join([spoken] * 3)
    assert done.usage.type == "duration"
    assert done.usage.seconds == pytest.approx(36, abs=0.2)
    assert times[-1] - times[0] > 0.5, "it came all at once"


def test_silence_is_an_empty_text_in_every_form(client: Client, wav_of_silence: bytes) -> None:
    assert transcribe(client, wav_of_silence).text == ""
    (done,) = stream(client, wav_of_silence)[0]
    assert (done.type, done.text) == ("transcript.text.done", "")
    verbose = transcribe(client, wav_of_silence, response_format="verbose_json")
    assert (verbose.segments, verbose.language) == ([], "unknown")


@pytest.mark.asyncio
async def test_a_storm_of_clients_that_give_up_and_come_again_is_one_run(
    service: Any, wav_times: Callable[[int], bytes]
) -> None:
    """Each gives up after two thirds of a second, again and again; the work takes seconds."""
    before = service.task_ids()
    sent = 0

    async def count(_request: Any) -> None:
        nonlocal sent
        sent += 1

    http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [count]})
    async with openai.AsyncOpenAI(
        base_url=service.base_url, api_key="none", timeout=0.7, max_retries=40, http_client=http
    ) as client:
        audio = wav_times(5)
        calls = (
            client.audio.transcriptions.create(file=("storm.wav", audio), model="default")
            for _ in range(10)
        )
        replies = await asyncio.gather(*calls)
    assert len({reply.text for reply in replies}) == 1
    (task_id,) = set(service.task_ids()) - set(before)
    task = service.task(task_id)
    assert (task["state"], task["attempt"]) == ("completed", "1")
    assert sent > 2 * len(replies), "nobody came again"


@pytest.mark.asyncio
async def test_the_callers_of_a_killed_api_count_as_gone(
    service: Any, wav_times: Callable[[int], bytes]
) -> None:
    other = service.programs.api()
    other.wait_until_ready()
    before = service.task_ids()
    form = {"files": {"file": ("long.wav", wav_times(100))}, "data": {"model": "default"}}
    async with httpx.AsyncClient(timeout=60) as client:
        call = asyncio.create_task(client.post(f"{other.url}/v1/audio/transcriptions", **form))
        (task_id,) = await service.until(lambda: set(service.task_ids()) - set(before))
        other.kill()
        with pytest.raises(httpx.TransportError):
            await call
    await service.until(lambda: service.task(task_id)["state"] == "cancelled")

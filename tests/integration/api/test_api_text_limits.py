"""No request brings a text into Redis that is longer than its field may have."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from asr_api.app import create_app
from asr_api.settings.api import ApiSettings
from asr_api.submission.options import SUBMIT_FIELDS, TEXT_FIELDS
from asr_core import text_limits as limits
from asr_core.options import Kind

pytestmark = pytest.mark.asyncio

SUBMIT, OPENAI = "/api/v1/asr/submit", "/v1/audio/transcriptions"
TRANSLATE = "/v1/audio/translations"
LONG = "x" * 60_000
OF_OPENAI = ("model", "language", "prompt", "response_format", "temperature", "stream", "track")
TEXT_KINDS = (Kind.TEXT, Kind.CHOICE, Kind.WORDS)
JSON = ("url", *(n for n, option in SUBMIT_FIELDS.items() if option.kind in TEXT_KINDS))


def told(reply: httpx.Response) -> dict[str, Any]:
    """The error of a refusal, which shows the beginning of the value and no more."""
    assert reply.status_code in (400, 404, 422), reply.text[:500]
    assert len(reply.content) < 600
    error: dict[str, Any] = reply.json()["error"]
    return error


@pytest.mark.parametrize("name", TEXT_FIELDS)
async def test_a_field_of_the_form(submit: Any, platform: Any, name: str) -> None:
    error = told(await submit(**{name: LONG}))
    assert (error["code"], error["param"]) == ("invalid_option", name)
    assert platform.stored() == []


@pytest.mark.parametrize("name", OF_OPENAI)
async def test_a_field_of_openais_form(client: httpx.AsyncClient, wav: bytes, name: str) -> None:
    value = "word. " * 10_000 if name == "prompt" else LONG
    form = {"model": "whisper-1", name: value}
    error = told(await client.post(OPENAI, files={"file": wav}, data=form))
    assert error["param"] == name


@pytest.mark.parametrize("name", JSON)
async def test_a_member_of_the_body_in_json(client: httpx.AsyncClient, name: str) -> None:
    value: object = [LONG] if name == "hotwords" else LONG
    body = {"url": "https://example.com/a.wav", name: value}
    error = told(await client.post(SUBMIT, json=body))
    assert error["param"] == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/asr/history", "cursor"),
        ("/api/v1/asr/history", "state"),
        ("/api/v1/asr/queue/status", "pool"),
        ("/api/v1/stats", "pool"),
        ("/api/v1/usage", "tenant"),
        ("/api/v1/usage", "from"),
    ],
)
async def test_a_parameter(client: httpx.AsyncClient, path: str, name: str) -> None:
    assert told(await client.get(path, params={name: LONG}))["param"] == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/asr/result/"),
        ("GET", "/api/v1/asr/events/"),
        ("GET", "/api/v1/asr/audio/"),
        ("POST", "/api/v1/asr/retry/"),
        ("DELETE", "/api/v1/asr/task/"),
        ("GET", "/v1/models/"),
        ("GET", "/nothing/"),
    ],
)
async def test_an_id_in_a_path(client: httpx.AsyncClient, method: str, path: str) -> None:
    reply = await client.request(method, path + LONG)
    assert reply.status_code == 404
    told(reply)


async def test_a_key_in_a_header(submit: Any) -> None:
    reply = await submit(headers={"Idempotency-Key": LONG})
    assert "255" in told(reply)["message"]


async def test_a_long_name_of_a_file_is_shortened(submit: Any, client: httpx.AsyncClient) -> None:
    accepted = await submit(name="é" * 300 + ".wav")
    task = (await client.get(accepted.json()["links"]["result"])).json()
    assert task["filename"] == "é" * 255


async def test_a_long_prompt_is_heeded_as_far_as_it_fits_and_named(
    client: httpx.AsyncClient, platform: Any, wav: bytes
) -> None:
    """OpenAI's clients send what was transcribed before; Whisper reads the last 224 tokens."""
    text = "Redis, kopf. " + "What was said before. " * 100 + "This was last."
    form = {"model": "whisper-1", "prompt": text, "stream": "true"}
    async with client.stream("POST", OPENAI, files={"file": wav}, data=form) as reply:
        assert reply.status_code == 200
        assert "prompt" in reply.headers["x-asr-options-ignored"].split(", ")
    (task,) = (await client.get("/api/v1/asr/history")).json()["tasks"]
    assert task["options"]["prompt"] == text[-limits.PROMPT.characters :]


async def test_the_document_says_every_limit() -> None:
    """Of each text that a request may hold, but for those that are one of a few words."""
    document = create_app(ApiSettings(_env_file=None)).openapi()
    posts = {path: document["paths"][path]["post"] for path in (SUBMIT, OPENAI, TRANSLATE)}
    for path, operation in posts.items():
        for kind, content in operation["requestBody"]["content"].items():
            for name, schema in content["schema"]["properties"].items():
                assert _is_bounded(schema), (path, kind, name)
        for parameter in operation.get("parameters", ()):
            assert _is_bounded(parameter["schema"]), (path, parameter["name"])
    form = posts[SUBMIT]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert form["language"]["maxLength"] == limits.LANGUAGE.characters
    assert form["webhook"]["maxLength"] == limits.URL.characters
    assert str(limits.HOTWORDS_MAX_BYTES) in form["hotwords"]["description"]


async def test_the_document_bounds_the_ids_in_paths() -> None:
    document = create_app(ApiSettings(_env_file=None)).openapi()
    lengths = {
        path: parameter["schema"]["maxLength"]
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "task_id"
    }
    assert set(lengths) == {path for path in document["paths"] if "{task_id}" in path}
    assert set(lengths.values()) == {limits.TASK_ID.characters}


def _is_bounded(schema: dict[str, Any]) -> bool:
    if "anyOf" in schema and "maxLength" not in schema:
        return all(map(_is_bounded, schema["anyOf"]))
    if schema.get("type") == "array":
        return _is_bounded(schema["items"])
    is_text = schema.get("type") == "string" and schema.get("format") != "binary"
    return not is_text or "enum" in schema or "maxLength" in schema

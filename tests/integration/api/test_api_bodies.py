"""Bodies as clients send them: forms of every dialect, compressed ones, and ones that never
come.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest
import pytest_asyncio

from asr_core.queue import ServedModel

pytestmark = pytest.mark.asyncio

HEADERS = {"content-type": "multipart/form-data; boundary=b0"}


def form(wav: bytes, disposition: str, *, before: bytes = b"") -> bytes:
    head = f"--b0\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()
    return before + head + wav + b"\r\n--b0--\r\n"


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="audio"; filename="a %22b%22.wav"', 'a "b".wav'),
        ('name="audio"; filename="100%25 %.wav"', "100%25 %.wav"),
        ("name=audio; filename=\"=?utf-8?B?w6Q=?=\"; filename*=utf-8''%C3%A4.wav", "ä.wav"),
        ("name=audio; filename*=ISO-8859-1'de'%E4.wav; filename=a.wav", "ä.wav"),
        ("name=audio; filename=plain.wav; filename*=x-nobody''%E4.wav", "plain.wav"),
        ("name=audio; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd%0D", "passwd"),
    ],
)
async def test_the_name_of_the_file_is_read_in_every_dialect(client, wav, disposition, filename):
    body = form(wav, disposition)
    sent = await client.post("/api/v1/asr/submit", content=body, headers=HEADERS)
    assert sent.status_code == 202, sent.text
    task = (await client.get(sent.json()["links"]["result"])).json()
    assert task["filename"] == filename


@pytest.mark.parametrize("before", [b"\r\n", b"This is a multi-part message.\r\n", b"x--b0\r\n\n"])
async def test_what_stands_before_the_first_boundary_is_ignored(client, wav, before):
    body = form(wav, 'name="audio"; filename="a.wav"', before=before)
    sent = await client.post("/api/v1/asr/submit", content=body, headers=HEADERS)
    assert sent.status_code == 202, sent.text


@pytest.mark.parametrize(
    "path", ["/api/v1/asr/submit", "/v1/audio/transcriptions", "/v1/audio/translations"]
)
async def test_a_compressed_body_is_415_in_words(client, wav, path):
    body = gzip.compress(form(wav, 'name="file"; filename="a.wav"'))
    headers = {**HEADERS, "content-encoding": "gzip"}
    reply = await client.post(path, content=body, headers=headers)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (415, "unsupported_content_encoding")
    assert error["param"] == "content-encoding"
    assert "gzip" in error["message"]
    assert reply.headers["accept-encoding"] == "identity"


async def test_compressed_json_is_415_too_and_identity_is_none(client):
    told = json.dumps({"url": "https://asr.example.com/a.wav"}).encode()
    headers = {"content-type": "application/json"}
    packed = {**headers, "content-encoding": "gzip"}
    reply = await client.post("/api/v1/asr/submit", content=gzip.compress(told), headers=packed)
    assert reply.status_code == 415
    plain = {**headers, "content-encoding": "identity"}
    reply = await client.post("/api/v1/asr/submit", content=told, headers=plain)
    assert reply.status_code == 202


@pytest.mark.parametrize("sent", [b"", b'{"url": "htt'], ids=["nothing", "a part"])
async def test_json_that_does_not_come_is_408_as_a_form_is(start_platform, sent):
    platform = start_platform(upload_idle_seconds=0.5)
    url = httpx.URL(platform.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        b"POST /api/v1/asr/submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 60\r\n\r\n" + sent
    )
    async with asyncio.timeout(20):
        told = (await reader.readuntil(b"}}")).decode()
    assert told.startswith("HTTP/1.1 408 ")
    assert '"code":"upload_timeout"' in told
    writer.close()


class TestOptionsThatTheModelDoesNotHeed:
    """Workers tell what their model can; the last word of a pool stays when they have gone."""

    @pytest_asyncio.fixture
    async def told(self, platform: Any, worker_record: Any) -> None:
        model = ServedModel("small", frozenset({"language", "timestamps"}), frozenset({"en"}))
        consumer = await platform.consumer()
        await consumer.beat(worker_record("worker-1"), model)
        await platform.connect().client.delete(f"{platform.connect().keys.worker('worker-1')}")

    @pytest.mark.usefixtures("told")
    async def test_the_202_and_the_task_name_them(self, submit, client):
        sent = await submit(language="fr", speakers="true", hotwords="Redis", itn="true")
        ignored = ["language", "itn", "hotwords", "speakers"]
        assert (sent.status_code, sent.json()["options_ignored"]) == (202, ignored)
        task = (await client.get(sent.json()["links"]["result"])).json()
        assert task["options_ignored"] == ignored
        assert task["options"]["language"] == "fr"
        (listed,) = (await client.get("/api/v1/asr/history")).json()["tasks"]
        assert listed["options_ignored"] == ignored

    @pytest.mark.usefixtures("told")
    async def test_a_url_and_a_repeated_submit_are_told_the_same(self, submit, client):
        body = {"url": "https://asr.example.com/a.wav", "speakers": True}
        sent = await client.post("/api/v1/asr/submit", json=body)
        assert sent.json()["options_ignored"] == ["speakers"]
        key = {"Idempotency-Key": "k1"}
        first = await submit(speakers="true", headers=key)
        again = await submit(speakers="true", headers=key)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json()["options_ignored"] == first.json()["options_ignored"] == ["speakers"]

    @pytest.mark.usefixtures("told")
    async def test_what_is_heeded_is_not_named(self, submit):
        for form in ({}, {"language": "en-US", "channels": "split"}, {"language": "English"}):
            assert (await submit(**form)).json()["options_ignored"] == []

    @pytest.mark.usefixtures("told")
    async def test_a_translation_is_refused_and_nothing_is_stored(self, submit, client, platform):
        sent = await submit(task="translate")
        body = {"url": "https://asr.example.com/a.wav", "task": "translate"}
        by_url = await client.post("/api/v1/asr/submit", json=body)
        for reply in (sent, by_url):
            error = reply.json()["error"]
            assert (reply.status_code, error["code"]) == (400, "model_cannot_translate")
            assert error["param"] == "task"
            assert "pool 'default' (small) does not translate; nor does" in error["message"]
        assert (platform.stored(), platform.spooled()) == ([], [])
        assert (await submit(task="transcribe")).status_code == 202

    async def test_a_translation_waits_for_the_first_worker_of_a_pool(self, submit, client):
        sent = await submit(task="translate", prompt="Redis, kopf.")
        assert (sent.status_code, sent.json()["options_ignored"]) == (202, [])
        task = (await client.get(sent.json()["links"]["result"])).json()
        assert task["options"]["task"] == "translate"
        assert task["options"]["prompt"] == "Redis, kopf."

    async def test_of_a_pool_that_never_had_workers_nothing_is_said(self, submit):
        sent = await submit(language="fr", speakers="true")
        assert sent.json()["options_ignored"] == []


@pytest.mark.parametrize("query", ["history?cursor=a!b", "../usage?tenant=a!b"])
async def test_a_parameter_of_another_form_is_refused_without_a_regular_expression(client, query):
    error = (await client.get(f"/api/v1/asr/{query}")).json()["error"]
    assert error["code"] == "invalid_option"
    assert "'a!b' is not of the form" in error["message"]
    assert not set("^$\\[") & set(error["message"])


async def test_a_language_that_nobody_knows_is_refused_in_words(submit):
    reply = await submit(language="klingon!")
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (422, "language")
    assert "en-US" in error["message"]
    assert "pattern" not in error["message"]

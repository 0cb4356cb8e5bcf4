"""The original file: whole, in part, and named as it was."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.asyncio


@pytest.fixture
def submitted(submit):
    async def send(**options):
        return (await submit(**options)).json()

    return send


async def test_the_recording_comes_back_as_it_was(submitted, client, wav):
    body = await submitted(name="Größe „x“.wav")
    reply = await client.get(body["links"]["audio"])
    assert reply.status_code == 200
    assert reply.content == wav
    assert reply.headers["content-type"] == "audio/wav"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["x-content-type-options"] == "nosniff"
    disposition = reply.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="Gr__e _x_.wav"')
    assert disposition.endswith("filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E2%80%9Ex%E2%80%9C.wav")


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-44", -44, None)],
)
async def test_a_range_is_served_as_206(submitted, client, wav, header, start, end):
    body = await submitted()
    reply = await client.get(body["links"]["audio"], headers={"Range": header})
    wanted = wav[start:end]
    begin = start % len(wav)
    assert reply.status_code == 206
    assert reply.content == wanted
    assert reply.headers["content-range"] == f"bytes {begin}-{begin + len(wanted) - 1}/{len(wav)}"
    assert int(reply.headers["content-length"]) == len(wanted)


async def test_a_range_behind_the_end_is_416_and_tells_the_size(submitted, client, wav):
    body = await submitted()
    reply = await client.get(body["links"]["audio"], headers={"Range": "bytes=999999-"})
    assert reply.status_code == 416
    assert reply.headers["content-range"] == f"bytes */{len(wav)}"
    assert reply.json()["error"]["code"] == "range_not_satisfiable"


async def test_several_ranges_are_answered_with_the_whole_file(submitted, client, wav):
    body = await submitted()
    reply = await client.get(body["links"]["audio"], headers={"Range": "bytes=0-1,5-6"})
    assert (reply.status_code, reply.content) == (200, wav)


async def test_a_range_of_another_version_is_answered_with_the_whole_file(submitted, client, wav):
    body = await submitted()
    headers = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert (await client.get(body["links"]["audio"], headers=headers)).status_code == 200
    headers["If-Range"] = f'"{body["task_id"]}"'
    assert (await client.get(body["links"]["audio"], headers=headers)).status_code == 206


async def test_who_has_the_file_is_told_304(submitted, client):
    body = await submitted()
    etag = (await client.head(body["links"]["audio"])).headers["etag"]
    reply = await client.get(body["links"]["audio"], headers={"If-None-Match": etag})
    assert (reply.status_code, reply.content) == (304, b"")


async def test_head_tells_all_but_the_bytes(submitted, client, wav):
    body = await submitted()
    reply = await client.head(body["links"]["audio"])
    assert reply.status_code == 200
    assert int(reply.headers["content-length"]) == len(wav)
    assert reply.content == b""
    part = await client.head(body["links"]["audio"], headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-length"]) == (206, "10")


async def test_deleted_audio_of_a_known_task_is_410(submitted, client, platform):
    body = await submitted()
    await platform.store.delete(f"audio/{body['task_id']}")
    reply = await client.get(body["links"]["audio"])
    assert reply.status_code == 410
    assert reply.json()["error"]["code"] == "audio_gone"


async def test_audio_of_an_unknown_task_is_404(client):
    assert (await client.get("/api/v1/asr/audio/nothing")).status_code == 404

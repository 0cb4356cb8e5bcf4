"""Submissions that are refused: with the right status, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil

import httpx
import pytest

from fuzz.hostile import flac_of_constants

pytestmark = pytest.mark.asyncio

URL = "/api/v1/asr/submit"
FORM = {"content-type": "multipart/form-data; boundary=X"}
FILE_HEAD = b'--X\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'


def assert_refused(reply, status: int, code: str, param: str | None = None) -> None:
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert error["param"] == param
    assert reply.headers["x-request-id"]


def assert_nothing_left(platform) -> None:
    assert platform.stored() == []
    assert platform.spooled() == []
    assert platform.app.state.services.spool.used_bytes == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pool", "gpu-of-my-dreams"),
        ("lane", "fast"),
        ("language", "Deutsch"),
        ("itn", "perhaps"),
        ("channels", "five"),
        ("colour", "red"),
    ],
)
async def test_an_option_that_cannot_be_served_is_named(submit, platform, field, value):
    assert_refused(await submit(**{field: value}), 422, "invalid_option", field)
    assert_nothing_left(platform)


async def test_a_form_without_audio_is_refused(client, platform):
    files = {"lane": (None, "batch")}
    assert_refused(await client.post(URL, files=files), 422, "invalid_option", "audio")
    assert_nothing_left(platform)


async def test_a_form_with_two_recordings_is_refused(client, platform, wav):
    files = [("audio", ("a.wav", wav)), ("file", ("b.wav", wav))]
    assert_refused(await client.post(URL, files=files), 422, "invalid_option", "file")
    assert_nothing_left(platform)


async def test_a_body_that_is_no_form_is_415(client):
    reply = await client.post(URL, content=b"{}", headers={"content-type": "text/plain"})
    assert_refused(reply, 415, "unsupported_media_type", "content-type")


async def test_a_form_that_ends_in_the_middle_is_400(client, platform):
    reply = await client.post(URL, content=FILE_HEAD + b"RIFF", headers=FORM)
    assert_refused(reply, 400, "malformed_upload")
    assert_nothing_left(platform)


async def test_a_form_that_is_garbage_is_400(client, platform):
    reply = await client.post(URL, content=os.urandom(2000), headers=FORM)
    assert_refused(reply, 400, "malformed_upload")
    assert_nothing_left(platform)


@pytest.mark.parametrize(
    "content",
    [
        b"hello, I am a letter\n" * 50,
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"#EXTM3U\nfile:///etc/passwd\n",
    ],
)
async def test_a_file_that_is_no_audio_is_415(submit, platform, content):
    assert_refused(await submit(content), 415, "unsupported_audio", "audio")
    assert_nothing_left(platform)


async def test_audio_that_breaks_off_in_its_header_is_422(submit, platform, wav):
    assert_refused(await submit(wav[:30]), 422, "unreadable_audio", "audio")
    assert_nothing_left(platform)


async def test_a_file_without_bytes_or_without_samples_is_422(submit, platform, make_wav):
    assert_refused(await submit(b""), 422, "empty_audio", "audio")
    assert_refused(await submit(make_wav(0)), 422, "empty_audio", "audio")
    assert_nothing_left(platform)


async def test_audio_that_is_too_long_is_422(start_platform, make_wav, encode):
    platform = start_platform(max_duration_seconds=2)
    async with httpx.AsyncClient(base_url=platform.url) as client:
        for audio in (make_wav(3), encode("webm", seconds=3.0, live=True)):
            reply = await client.post(URL, files={"audio": audio})
            assert_refused(reply, 422, "audio_too_long", "audio")
    assert_nothing_left(platform)


async def test_audio_with_too_many_channels_is_422(start_platform, make_wav):
    platform = start_platform(max_channels=2)
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post(URL, files={"audio": make_wav(0.5, channels=4)})
    assert_refused(reply, 422, "unreadable_audio", "audio")


async def test_a_sample_rate_that_no_recorder_has_is_422_and_names_what_is_served(submit, platform):
    reply = await submit(flac_of_constants(655_350, 8, 1.0))
    assert_refused(reply, 422, "unreadable_audio", "audio")
    assert "655350 Hz; 1000 to 384000 are supported" in reply.json()["error"]["message"]
    assert_nothing_left(platform)


async def test_an_upload_over_the_limit_without_content_length_is_413(start_platform):
    platform = start_platform(max_upload_bytes=300_000)

    async def long_body():
        yield FILE_HEAD
        for _ in range(50):
            yield bytes(100_000)

    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post(URL, content=long_body(), headers=FORM)
    assert_refused(reply, 413, "upload_too_large", "audio")
    assert reply.headers["connection"] == "close"
    assert_nothing_left(platform)


async def test_an_endless_upload_is_cut_off_with_413(start_platform):
    platform = start_platform(max_upload_bytes=300_000)
    reader, writer = await asyncio.open_connection(*_address(platform))
    answer = asyncio.create_task(reader.readline())
    writer.write(_head("Transfer-Encoding: chunked") + _chunk(FILE_HEAD))
    cut_off = False
    while not cut_off:
        try:
            writer.write(_chunk(bytes(1_000_000)))
            await asyncio.wait_for(writer.drain(), 10)
        except ConnectionError:
            cut_off = True
    assert b" 413 " in await answer
    assert_nothing_left(platform)


async def test_a_size_announced_over_the_limit_is_refused_before_a_byte_is_sent(start_platform):
    platform = start_platform(max_upload_bytes=1_000)
    reader, writer = await asyncio.open_connection(*_address(platform))
    writer.write(_head("Content-Length: 20000000000"))
    status = await asyncio.wait_for(reader.readline(), 10)
    assert b" 413 " in status
    writer.close()


async def test_a_size_announced_too_small_does_not_let_more_in(start_platform, wav):
    platform = start_platform(max_upload_bytes=1_000)
    reader, writer = await asyncio.open_connection(*_address(platform))
    writer.write(_head("Content-Length: 100") + FILE_HEAD + wav)
    status = await asyncio.wait_for(reader.readline(), 10)
    assert b" 400 " in status
    writer.close()
    assert_nothing_left(platform)


async def test_exactly_the_limit_is_let_in(start_platform, wav):
    platform = start_platform(max_upload_bytes=len(wav))
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post(URL, files={"audio": wav})
        one_more = await client.post(URL, files={"audio": wav + b"\0"})
    assert reply.status_code == 202
    assert_refused(one_more, 413, "upload_too_large", "audio")


async def test_a_client_that_falls_silent_is_408(start_platform):
    platform = start_platform(upload_idle_seconds=0.3)
    reader, writer = await asyncio.open_connection(*_address(platform))
    writer.write(_head("Content-Length: 5000") + FILE_HEAD + b"RIFF")
    status = await asyncio.wait_for(reader.readline(), 10)
    assert b" 408 " in status
    writer.close()
    await _until(lambda: platform.spooled() == [])
    assert_nothing_left(platform)


async def test_a_client_that_trickles_is_408(start_platform):
    platform = start_platform(upload_idle_seconds=0.3)
    reader, writer = await asyncio.open_connection(*_address(platform))
    writer.write(_head("Content-Length: 5000") + FILE_HEAD)
    answer = asyncio.create_task(reader.readline())
    for _ in range(200):
        with contextlib.suppress(ConnectionError):
            writer.write(b"\0")
            await writer.drain()
        done, _pending = await asyncio.wait({answer}, timeout=0.05)
        if done:
            break
    assert b" 408 " in await answer
    writer.close()


async def test_a_client_that_leaves_leaves_nothing_behind(platform):
    _, writer = await asyncio.open_connection(*_address(platform))
    writer.write(_head("Content-Length: 9000000") + FILE_HEAD + bytes(2_000_000))
    await writer.drain()
    await _until(lambda: platform.spooled() != [])
    writer.transport.abort()
    await _until(lambda: platform.spooled() == [])
    assert_nothing_left(platform)


async def test_a_full_spool_is_503_until_there_is_room(start_platform, wav, make_wav):
    platform = start_platform(spool_max_bytes=len(wav))
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post(URL, files={"audio": make_wav(2)})
        assert_refused(reply, 503, "spool_full")
        assert int(reply.headers["retry-after"]) > 0
        assert (await client.post(URL, files={"audio": wav})).status_code == 202


async def test_a_store_that_is_away_is_503(submit, platform):
    shutil.rmtree(platform.store_folder, ignore_errors=True)
    platform.store_folder.write_text("in the way")
    reply = await submit()
    assert_refused(reply, 503, "store_unavailable")
    assert reply.headers["retry-after"]
    assert platform.spooled() == []


async def test_redis_that_is_away_is_503_before_the_upload_is_read(start_platform, own_redis, wav):
    platform = start_platform(redis_port=own_redis.port)
    own_redis.kill()
    async with httpx.AsyncClient(base_url=platform.url) as client:
        reply = await client.post(URL, files={"audio": wav})
    assert_refused(reply, 503, "queue_unavailable")
    assert reply.headers["retry-after"]
    assert_nothing_left(platform)


def _address(platform) -> tuple[str, int]:
    url = httpx.URL(platform.url)
    return url.host, url.port


def _head(*lines: str) -> bytes:
    fixed = (f"POST {URL} HTTP/1.1", "Host: localhost", f"Content-Type: {FORM['content-type']}")
    return "\r\n".join((*fixed, *lines, "", "")).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _until(condition, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)

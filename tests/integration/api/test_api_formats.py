"""Formats and tracks as the API takes them, and what it says of those that it does not."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition

from asr_core.options import TaskOptions

pytestmark = pytest.mark.asyncio


def encoded(container: str, *codecs: str, default: int | None = None) -> bytes:
    """Two seconds of faint noise in each track; `default` is the place of the one flagged so."""
    target = io.BytesIO()
    options = {"default_mode": "passthrough"} if container == "matroska" else {}
    noise = np.random.default_rng(0).normal(0, 0.01, (1, 96_000)).astype(np.float32)
    with av.open(target, "w", format=container, options=options) as output:
        streams = []
        for place, codec in enumerate(codecs):
            stream = output.add_stream(codec, rate=48_000, layout="mono")
            assert isinstance(stream, AudioStream)
            stream.bit_rate = 128_000
            stream.disposition = Disposition.default if place == default else Disposition(0)
            streams.append(stream)
        output.start_encoding()
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(noise, "fltp", "mono")
            frame.sample_rate, frame.pts = 48_000, 0
            size = stream.codec_context.frame_size or 1024
            shaper = av.AudioResampler(stream.format.name, "mono", 48_000, size)
            for part in [*shaper.resample(frame), *shaper.resample(None), None]:
                output.mux(stream.encode(part))
    return target.getvalue()


@pytest.mark.parametrize(
    ("container", "codec", "content_type"),
    [
        ("aiff", "pcm_s16be", "audio/aiff"),
        ("caf", "alac", "audio/x-caf"),
        ("au", "pcm_mulaw", "audio/basic"),
        ("asf", "wmav2", "audio/x-ms-wma"),
        ("mpegts", "aac", "video/mp2t"),
        ("mpeg", "mp2", "video/mpeg"),
        ("avi", "libmp3lame", "video/x-msvideo"),
        ("flv", "aac", "video/x-flv"),
        ("ac3", "ac3", "audio/ac3"),
        ("eac3", "eac3", "audio/eac3"),
        ("wv", "wavpack", "audio/x-wavpack"),
    ],
)
async def test_formats_that_people_have_are_taken(submit, client, container, codec, content_type):
    reply = await submit(encoded(container, codec), name="talk")
    assert reply.status_code == 202, reply.text
    task = (await client.get(reply.json()["links"]["result"])).json()
    assert task["content_type"] == content_type
    assert task["duration_seconds"] == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "A PNG picture"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(100), "A JPEG picture"),
        (b"RIFF\x40\x00\x00\x00WEBPVP8 " + bytes(100), "A WebP picture"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(100), "A HEIC picture"),
        (b"%PDF-1.7\n" + bytes(100), "PDF"),
        (b"PK\x03\x04" + bytes(100), "A ZIP archive or office document"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.wav\n", "A playlist (M3U)"),
        (b"[playlist]\nFile1=http://127.0.0.1:9/a.mp3\n", "A playlist (PLS)"),
        (b'<ASX version="3.0"><entry/></ASX>', "A playlist (ASX)"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "A playlist (ffconcat)"),
        (b"\n<!DOCTYPE html><html></html>", "An HTML page"),
        (b"MThd\x00\x00\x00\x06" + bytes(100), "MIDI"),
        (b"MAC \x96\x0f" + bytes(100), "Monkey's Audio"),
        (b".RMF\x00\x00\x00\x12" + bytes(100), "RealMedia"),
        (b"\x02#!SILK_V3" + bytes(100), "SILK"),
        (b"Creative Voice File\x1a" + bytes(100), "VOC"),
        (b"\x7f\xfe\x80\x01" + bytes(100), "DTS"),
        (b"TTA1" + bytes(100), "True Audio (TTA)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_stays_refused_is_named_as_what_it_is(submit, content, name):
    reply = await submit(content, name="talk.wav")
    assert reply.status_code == 415
    error = reply.json()["error"]
    assert error["code"] == "unsupported_audio"
    assert error["message"].startswith(f"{name} is not supported; supported formats: wav,")


@pytest.mark.parametrize("name", ["aiff", "caf", "au", "wma", "mpeg-ts", "avi", "flv", "wavpack"])
async def test_what_is_no_audio_is_told_all_that_is_served(submit, name):
    message = (await submit(b"no audio at all" * 10)).json()["error"]["message"]
    assert message.startswith("The file is not audio; supported formats: ")
    assert name in message


async def test_the_track_that_is_probed_is_the_one_that_is_transcribed(submit):
    for whole, status in (
        (encoded("matroska", "tta", "aac"), 202),
        (encoded("matroska", "tta", "aac", default=0), 202),
        (encoded("matroska", "tta", "tta"), 422),
    ):
        assert (await submit(whole)).status_code == status


async def test_a_track_is_chosen_by_hand(submit, platform, claim):
    whole = encoded("matroska", "aac", "ac3", "tta")
    assert (await submit(whole, track="2")).status_code == 202
    claimed = await claim(await platform.consumer())
    assert claimed.task.options == TaskOptions(track=2)
    refused = await submit(whole, track="3")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unreadable_audio")
    assert "track 3 is TTA" in refused.json()["error"]["message"]
    absent = await submit(whole, track="4")
    error = absent.json()["error"]
    assert (absent.status_code, error["code"], error["param"]) == (422, "invalid_option", "track")
    assert error["message"] == "There is no track 4: the file has 3 audio tracks."


@pytest.mark.parametrize("track", ["0", "-1", "101", "two", "1.5"])
async def test_a_track_is_a_number_from_1(submit, client, track):
    reply = await submit(track=track)
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "track")
    body = {"url": "https://example.com/a.mp3", "track": 0}
    reply = await client.post("/api/v1/asr/submit", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "track")


async def test_another_track_is_another_request(submit):
    whole = encoded("matroska", "aac", "ac3")
    key = {"Idempotency-Key": "order-17"}
    assert (await submit(whole, headers=key)).status_code == 202
    assert (await submit(whole, headers=key)).status_code == 202
    assert (await submit(whole, headers=key, track="2")).status_code == 409

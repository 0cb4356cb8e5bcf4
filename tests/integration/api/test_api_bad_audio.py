"""Audio that cannot be served: each kind is told what is wrong with it, at submit, and is gone."""

from __future__ import annotations

import io
import math
import random
import struct
import wave
from typing import Any

import av
import numpy as np
import pytest

pytestmark = pytest.mark.asyncio


def wav_of(*, channels: int = 1, rate_hz: int = 8000, frames: int = 8000, width: int = 2) -> bytes:
    """Silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, width, rate_hz, 0, "NONE", ""))
        out.writeframes(bytes(frames * channels * width))
    return file.getvalue()


def flac_that_claims(flac: bytes, samples: int) -> bytes:
    """STREAMINFO's 36 bits of total samples (RFC 9639, section 8.2) changed."""
    lying = bytearray(flac)
    lying[21] = lying[21] & 0xF0 | samples >> 32
    lying[22:26] = struct.pack(">I", samples & 0xFFFFFFFF)
    return bytes(lying)


def matroska_that_claims(matroska: bytes, milliseconds: float) -> bytes:
    """Its Duration, an 8-byte float (RFC 9559, section 5.1.2.10), changed."""
    lying = bytearray(matroska)
    at = lying.index(b"\x44\x89\x88") + 3
    lying[at : at + 8] = struct.pack(">d", milliseconds)
    return bytes(lying)


def picture_without_sound() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def in_a_codec_that_is_not_served() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("tta", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1536), np.int16), "s16", "mono")
        frame.sample_rate = 48_000
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


def w64_that_points_outside() -> bytes:
    """The size of a chunk is so large that a seek to its end fails."""
    file = io.BytesIO()
    with av.open(file, "w", format="w64") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        out.mux([*stream.encode(frame), *stream.encode(None)])
    whole = file.getvalue()
    return whole[:40] + b"x" * 16 + (2**62).to_bytes(8, "little") + whole[40:]


def garbled(audio: bytes, *, from_byte: int) -> bytes:
    return audio[:from_byte] + random.Random(5).randbytes(len(audio) - from_byte)


KINDS = ("flac", "mp3", "ogg", "webm", "matroska", "m4a", "aac")


async def refusal(submit: Any, audio: bytes, **form: Any) -> tuple[int, str, str]:
    reply = await submit(audio, **form)
    error = reply.json()["error"]
    assert error["param"] == "audio"
    assert "retry-after" not in reply.headers
    return reply.status_code, error["code"], error["message"]


def assert_nothing_left(platform: Any) -> None:
    assert platform.stored() == []
    assert platform.spooled() == []


async def test_a_recording_that_breaks_off_in_its_header_is_unreadable(submit, platform, encode):
    for kind in KINDS:
        status, code, message = await refusal(submit, encode(kind)[:24])
        assert (status, code) == (422, "unreadable_audio"), kind
        assert message.startswith("The audio "), kind
    assert_nothing_left(platform)


async def test_a_recording_of_which_only_the_header_is_whole_is_unreadable(
    submit, platform, encode
):
    for kind in ("flac", "ogg", "webm", "m4a"):
        status, code, _ = await refusal(submit, garbled(encode(kind), from_byte=48))
        assert (status, code) == (422, "unreadable_audio"), kind
    assert_nothing_left(platform)


async def test_a_recording_without_samples_is_empty_or_unreadable(submit, platform, encode):
    assert (await refusal(submit, wav_of(frames=0)))[:2] == (422, "empty_audio")
    for kind in ("flac", "matroska", "m4a"):
        status, code, _ = await refusal(submit, encode(kind, seconds=0.0))
        assert (status, code) in {(422, "empty_audio"), (422, "unreadable_audio")}, kind
    assert_nothing_left(platform)


async def test_a_header_that_points_outside_the_file_is_unsupported(submit, platform):
    status, code, _ = await refusal(submit, w64_that_points_outside())
    assert (status, code) == (415, "unsupported_audio")
    assert_nothing_left(platform)


async def test_five_hundred_channels_are_too_many(submit, platform):
    assert await refusal(submit, wav_of(channels=500)) == (
        422,
        "unreadable_audio",
        "The audio has 500 channels; 1 to 16 are supported.",
    )
    assert_nothing_left(platform)


async def test_a_sample_rate_that_no_recorder_has_is_unreadable(submit, platform):
    for rate_hz in (1, 2_000_000_000):
        status, code, message = await refusal(submit, wav_of(rate_hz=rate_hz, width=1))
        assert (status, code) == (422, "unreadable_audio")
        assert str(rate_hz) in message
    assert_nothing_left(platform)


async def test_ten_hours_are_accepted_and_a_second_more_is_too_long(submit, platform):
    ten_hours = wav_of(rate_hz=1000, frames=36_000_000, width=1)
    accepted = await submit(ten_hours)
    assert accepted.status_code == 202
    assert len(platform.stored()) == 1
    longer = wav_of(rate_hz=1000, frames=36_001_000, width=1)
    assert await refusal(submit, longer) == (
        422,
        "audio_too_long",
        "The audio lasts 36001 s or more; 36000 s are allowed.",
    )
    assert len(platform.stored()) == 1
    assert platform.spooled() == []


async def test_a_small_file_that_claims_to_last_for_years_is_taken_for_what_it_holds(
    submit, client, encode
):
    for lying in (
        flac_that_claims(encode("flac"), 2**36 - 1),
        matroska_that_claims(encode("matroska"), 1e12),
    ):
        reply = await submit(lying)
        assert reply.status_code == 202
        task = (await client.get(reply.json()["links"]["result"])).json()
        assert task["duration_seconds"] == pytest.approx(1.0, abs=0.1)


async def test_an_mp3_that_claims_twenty_hours_is_taken_for_what_it_holds(submit, client, encode):
    mp3 = encode("mp3", seconds=2.0)
    at = max(mp3.find(b"Xing"), mp3.find(b"Info")) + 8
    (frames,) = struct.unpack(">I", mp3[at : at + 4])
    for factor in (100, 36_000):
        lying = mp3[:at] + struct.pack(">I", frames * factor) + mp3[at + 4 :]
        reply = await submit(lying)
        assert reply.status_code == 202
        task = (await client.get(reply.json()["links"]["result"])).json()
        assert task["duration_seconds"] == pytest.approx(2.0, abs=0.2)


async def test_a_flac_that_declares_its_first_second_is_counted(submit, client):
    noise = np.random.default_rng(0).integers(-9000, 9000, (1, 44_100 * 60), np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as out:
        stream = out.add_stream("flac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.sample_rate = 44_100
        resampler = av.AudioResampler(stream.format, "mono", 44_100, stream.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    reply = await submit(flac_that_claims(file.getvalue(), 44_100))
    task = (await client.get(reply.json()["links"]["result"])).json()
    assert task["duration_seconds"] == pytest.approx(60.0, abs=0.2)


async def test_a_clock_that_starts_late_makes_no_long_recording(submit, client, encode):
    """A browser's recorder states no duration, and counts from when its page was opened."""
    late = io.BytesIO()
    source = av.open(io.BytesIO(encode("webm", live=True)))
    with source, av.open(late, "w", format="webm", options={"live": "1"}) as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.pts = packet.dts = packet.pts + round(40_000 / packet.time_base)
                packet.stream = stream
                out.mux(packet)
    reply = await submit(late.getvalue())
    assert reply.status_code == 202, reply.text
    task = (await client.get(reply.json()["links"]["result"])).json()
    assert task["duration_seconds"] == pytest.approx(1.0, abs=0.1)


async def test_bytes_of_a_wav_are_counted_as_the_file_has_them(submit, client, tmp_path):
    """A byte a sample of mu-law, three of 24 bits: not two and four, as when they are decoded."""
    for codec, rate_hz in (("pcm_mulaw", 8_000), ("pcm_s24le", 48_000)):
        file = io.BytesIO()
        with av.open(file, "w", format="wav") as out:
            stream = out.add_stream(codec, rate=rate_hz, layout="mono")
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, rate_hz * 3), np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = rate_hz, 0
            resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate_hz)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))
        reply = await submit(file.getvalue())
        task = (await client.get(reply.json()["links"]["result"])).json()
        assert task["duration_seconds"] == pytest.approx(3.0, abs=0.01)


async def test_a_claim_that_is_no_duration_is_not_believed(submit, client, encode):
    for claim in (math.nan, math.inf, -1.0, 0.0, 1e300):
        reply = await submit(matroska_that_claims(encode("matroska"), claim))
        assert reply.status_code == 202, claim
        task = (await client.get(reply.json()["links"]["result"])).json()
        assert task["duration_seconds"] == pytest.approx(1.0, abs=0.1), claim


async def test_a_picture_without_sound_is_unsupported(submit, platform):
    assert await refusal(submit, picture_without_sound()) == (
        415,
        "unsupported_audio",
        "The file has no audio track.",
    )
    assert_nothing_left(platform)


async def test_a_codec_that_is_not_served_is_unreadable(submit, platform):
    assert await refusal(submit, in_a_codec_that_is_not_served()) == (
        422,
        "unreadable_audio",
        "The audio track is TTA (True Audio) (codec tta), which is not supported.",
    )
    assert_nothing_left(platform)


async def test_a_wrong_name_and_a_wrong_type_do_not_matter(client, encode):
    types = {"mp3": "mpeg", "flac": "flac", "m4a": "mp4", "webm": "webm", "aac": "aac"}
    for kind, content_type in types.items():
        files = {"audio": ("talk.wav", encode(kind), "audio/x-wav")}
        reply = await client.post("/api/v1/asr/submit", files=files)
        assert reply.status_code == 202, kind
        task = (await client.get(reply.json()["links"]["result"])).json()
        assert task["filename"] == "talk.wav"
        assert task["content_type"] == f"audio/{content_type}"

"""Recordings that are not what they claim: what was decoded counts, and what is missing is told."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from structlog.testing import capture_logs

from asr_core.queue import Tenants
from asr_core.settings.queue import TenantSettings
from asr_core.task import State

pytestmark = pytest.mark.asyncio


def claiming(mp3: bytes, factor: int) -> bytes:
    """An mp3 whose first frame claims so many times the frames that there are."""
    at = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    (frames,) = struct.unpack(">I", mp3[at + 8 : at + 12])
    return mp3[: at + 8] + struct.pack(">I", frames * factor) + mp3[at + 12 :]


def with_jump(samples: np.ndarray[Any, Any], seconds: float) -> bytes:
    """Opus in webm whose clock jumps in the middle."""
    target = io.BytesIO()
    frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16), "s16", "mono")
    frame.sample_rate, frame.pts = 16_000, 0
    with av.open(target, "w", format="webm") as output:
        stream = output.add_stream("libopus", rate=48_000)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        shaper = av.AudioResampler("s16", "mono", 48_000, 960)
        packets = [
            packet
            for part in [*shaper.resample(frame), *shaper.resample(None)]
            for packet in stream.encode(part)
        ]
        for number, packet in enumerate([*packets, *stream.encode(None)]):
            assert packet.pts is not None
            assert packet.time_base is not None
            if number > len(packets) // 2:
                packet.pts = packet.dts = packet.pts + round(seconds / packet.time_base)
            output.mux(packet)
    return target.getvalue()


async def test_usage_and_stats_follow_what_was_decoded(
    platform: Any, demo: Any, encode: Callable[..., bytes]
) -> None:
    mp3 = claiming(encode(demo, 16_000, "mp3", "libmp3lame"), 100)
    seconds = demo.shape[1] / 16_000
    async with platform.worker():
        task_id = await platform.submit(mp3, tenant="acme", duration_seconds=100 * seconds)
        result = await platform.done(task_id)
    assert result.duration_seconds == pytest.approx(seconds, abs=0.1)
    assert [warning.code for warning in result.warnings] == ["cut_off"]
    task = await platform.producer.get(task_id)
    assert task.duration_seconds == result.duration_seconds
    tenants = Tenants(platform.connection, TenantSettings(_env_file=None))
    day = datetime.now(UTC).date()
    [used] = await tenants.usage(day, day, "acme")
    assert used.audio_seconds == result.duration_seconds
    assert 0.7 * seconds < used.speech_seconds < seconds
    assert used.speech_seconds == result.speech_seconds
    totals = await platform.reader.totals()
    assert totals.audio_seconds == result.duration_seconds
    assert totals.speech_seconds == result.speech_seconds


async def test_words_after_a_hole_come_when_they_were_said_and_a_hostile_clock_fails_once(
    platform: Any, demo: Any
) -> None:
    async with platform.worker(max_duration_seconds=3600):
        whole = await platform.done(await platform.submit(with_jump(demo, 0.0)))
        gapped = await platform.done(await platform.submit(with_jump(demo, 90.0)))
        hostile = await platform.submit(with_jump(demo, 3e6))
        failed = await platform.until(hostile, State.FAILED)
    assert failed.error.code == "audio_too_long"
    assert (failed.attempt, failed.transient_failures, failed.crashes) == (1, 0, 0)
    assert gapped.duration_seconds == pytest.approx(whole.duration_seconds + 90, abs=0.1)
    last, later = (result.segments[-1].words[-1] for result in (whole, gapped))
    assert later.text == last.text
    assert later.end_seconds == pytest.approx(last.end_seconds + 90, abs=0.1)


async def test_a_recording_that_was_cut_off_completes_with_a_warning_in_result_and_log(
    platform: Any, demo: Any, encode: Callable[..., bytes]
) -> None:
    flac = encode(demo, 16_000, "flac", "flac")
    with capture_logs() as logs:
        async with platform.worker():
            result = await platform.done(await platform.submit(flac[: len(flac) // 2]))
    (warning,) = result.warnings
    (logged,) = [line for line in logs if line["event"] == "recording not wholly readable"]
    assert logged["warnings"] == [warning.message]
    assert warning.code == "cut_off"
    assert warning.start_seconds == pytest.approx(result.duration_seconds, abs=0.2)
    assert warning.end_seconds == pytest.approx(demo.shape[1] / 16_000, abs=0.01)
    assert result.text


async def test_a_channel_that_cancels_the_other_is_transcribed(
    platform: Any, demo: Any, wav: Any, spoken: str
) -> None:
    async with platform.worker():
        plain = await platform.done(await platform.submit(wav(demo)))
        inverted = await platform.done(await platform.submit(wav(np.concatenate([demo, -demo]))))
    assert inverted.text == plain.text
    assert inverted.segments == plain.segments

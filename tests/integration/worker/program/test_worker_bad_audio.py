"""Audio that should never have come past the API: one terminal error each, and never a retry."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from asr_core.task import State

pytestmark = pytest.mark.asyncio
SERVED_SECONDS = 3600.0


def wav_bytes(
    data: bytes, *, channels: int = 1, rate: int = 16_000, bits: int = 16, told: int | None = None
) -> bytes:
    """A WAV file whose header may lie about its length."""
    block, size = channels * bits // 8, len(data) if told is None else told
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", size, b"WAVE", b"fmt ", 16, 1, channels, rate, rate * block,
        block, bits, b"data", size,
    )  # fmt: skip
    return head + data


def silent_flac(seconds: int) -> bytes:
    """An hour of it is 0.7 MB: 170 times that when decoded."""
    target = io.BytesIO()
    silence = np.zeros((1, 4096 * 64), np.int16)
    with av.open(target, "w", format="flac") as output:
        stream = output.add_stream("flac", rate=8000)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        for start in range(0, seconds * 8000, silence.shape[1]):
            frame = av.AudioFrame.from_ndarray(silence, "s16", "mono")
            frame.sample_rate, frame.pts = 8000, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


def scrambled(data: bytes, share: float) -> bytes:
    """Random bytes from the first tenth on, here and there."""
    chance = np.random.default_rng(1)
    mutable = bytearray(data)
    for at in chance.integers(len(data) // 10, len(data), int(len(data) * share)):
        mutable[at] = chance.integers(256)
    return bytes(mutable)


async def test_each_bad_file_fails_once_with_a_code_and_its_neighbours_complete(
    platform: Any, level: Any, encode: Callable[..., bytes]
) -> None:
    tone = 0.3 * np.sin(np.arange(80_000) * 0.2).astype(np.float32)
    mp3 = encode(tone[None], 16_000, "mp3", "libmp3lame")
    flac = encode(tone[None], 16_000, "flac", "flac")
    files = {
        "corrupt": (b"RIFF" + bytes(range(256)) * 40, "unreadable_audio"),
        "noise": (np.random.default_rng(0).bytes(50_000), "unreadable_audio"),
        "truncated in its header": (wav_bytes(bytes(3200))[:20], "unreadable_audio"),
        "truncated in its sound": (mp3[: len(mp3) // 2], None),
        "with damage everywhere": (scrambled(flac, 0.3), None),
        "empty": (b"", "unreadable_audio"),
        "without samples": (wav_bytes(b""), "empty_audio"),
        "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(5000), "unreadable_audio"),
        "an archive": (b"PK\x03\x04" + bytes(5000), "unreadable_audio"),
        "a text": (b"this is no audio " * 100, "unreadable_audio"),
        "a playlist": (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.wav\n", "unreadable_audio"),
        "of 500 channels": (wav_bytes(bytes(800_000), channels=500), "unreadable_audio"),
        "without a rate": (wav_bytes(bytes(3200), rate=0), "unreadable_audio"),
        "ten hours long": (wav_bytes(bytes(36_000_000), rate=1000, bits=8), "audio_too_long"),
        "endless as it says": (wav_bytes(bytes(32_000), told=0xFFFFFFFF), None),
        "a bomb": (silent_flac(round(SERVED_SECONDS) + 60), "audio_too_long"),
    }
    platform.toy(max_duration_seconds=SERVED_SECONDS, lease_seconds=60.0, decode_processes=2)
    ids = {
        # Whatever the API was made to believe: a second each.
        name: await platform.submit(data, duration_seconds=1.0)
        for name, (data, _) in files.items()
    }
    neighbours = [await platform.submit(level(0.3)) for _ in range(3)]
    ended = {
        name: await platform.until(task_id, State.FAILED, State.COMPLETED)
        for name, task_id in ids.items()
    }
    codes = {name: task.error and task.error.code for name, task in ended.items()}
    assert codes == {name: code for name, (_, code) in files.items()}
    assert {(task.attempt, task.transient_failures) for task in ended.values()} == {(1, 0)}
    for task_id in neighbours:
        await platform.done(task_id)
    with platform.raw() as raw:
        assert raw.xlen("asr_tasks:dead") == 0
        assert raw.zcard("asr:delayed:default") == 0

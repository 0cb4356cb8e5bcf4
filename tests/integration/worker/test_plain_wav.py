"""Plain wav files are read without FFmpeg, and give the very samples that FFmpeg gives."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable

import numpy as np
import pytest

from asr_core.errors import AsrError
from asr_worker.audio import plain_wav
from asr_worker.audio.decoder import AudioDecoder, DecodeLimits, decode
from asr_worker.audio.pcm import FloatArray

Babble = Callable[[float, int], FloatArray]


def _wav(samples: FloatArray, rate: int, *, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((len(samples), width, rate, 0, "NONE", ""))
        scaled = np.rint(samples.T * 2 ** (8 * width - 1) * 0.99)
        out.writeframes(scaled.astype(f"<i{width}").tobytes())
    return file.getvalue()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_samples_are_those_of_ffmpeg(
    babble: Babble, monkeypatch: pytest.MonkeyPatch, rate: int, channels: int
) -> None:
    lanes = np.stack([babble(3.3, number) for number in range(channels)])
    body = _wav(lanes, rate)
    assert plain_wav.find(io.BytesIO(body))
    ours = [decode(body), decode(body, channels="split")]
    monkeypatch.setattr(plain_wav, "find", lambda _: None)
    theirs = [decode(body), decode(body, channels="split")]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_known_of_the_source_is_told(babble: Babble) -> None:
    decoder = AudioDecoder(_wav(np.stack([babble(1.0, 1)] * 2), 44_100))
    list(decoder.blocks())
    told = (decoder.codec, decoder.source_rate, decoder.source_channels, decoder.damaged_packets)
    assert told == ("pcm_s16le", 44_100, 2, 0)


def test_chunks_before_the_samples_are_passed_over(babble: Babble) -> None:
    body = _wav(babble(0.5, 2)[None], 16_000)
    note = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"  # odd: padded to an even length
    noted = body[:12] + note + body[12:]
    assert plain_wav.find(io.BytesIO(noted))
    np.testing.assert_array_equal(decode(noted), decode(body))


def _broken() -> dict[str, bytes]:
    body = bytearray(_wav(np.zeros((1, 1600), np.float32), 16_000))
    cases = {"cut off": bytes(body[:-7]), "half a header": bytes(body[:30]), "nothing": b""}
    for told, offset, value in (
        ("another format", 20, struct.pack("<H", 3)),
        ("no channel", 22, struct.pack("<H", 0)),
        ("a wrong byte rate", 28, struct.pack("<I", 7)),
        ("no size, as of a stream", 40, struct.pack("<I", 0xFFFFFFFF)),
        ("no samples", 40, struct.pack("<I", 0)),
        ("no RIFF", 0, b"RIFX"),
    ):
        changed = bytearray(body)
        changed[offset : offset + len(value)] = value
        cases[told] = bytes(changed)
    cases["24 bits"] = _wav(np.zeros((1, 800), np.float32), 16_000, width=4)
    return cases


@pytest.mark.parametrize(("told", "body"), _broken().items())
def test_whatever_is_not_as_expected_is_left_to_ffmpeg(told: str, body: bytes) -> None:
    file = io.BytesIO(body)
    assert plain_wav.find(file) is None
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("rate", "channels", "limits"),
    [
        (16_000, 3, DecodeLimits(max_channels=2)),
        (16_000, 1, DecodeLimits(max_seconds=0.05)),
        (999_999, 1, DecodeLimits()),
    ],
)
def test_limits_hold_for_plain_files_too(rate: int, channels: int, limits: DecodeLimits) -> None:
    body = _wav(np.zeros((channels, 1600), np.float32), rate)
    assert plain_wav.find(io.BytesIO(body))
    with pytest.raises(AsrError):
        decode(body, limits=limits)

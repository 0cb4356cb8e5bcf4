"""Files with several audio tracks: which one is transcribed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.stream import Disposition

from asr_core.errors import UnreadableAudio
from asr_worker.audio.decoder import AudioDecoder, decode
from asr_worker.audio.pcm import FloatArray

RATE_HZ = 48_000


@dataclass(frozen=True)
class Track:
    """A tone of `hz`; 0: silence."""

    codec: str
    hz: int
    is_default: bool = False


def file_of(container: str, tracks: Sequence[Track]) -> bytes:
    target = io.BytesIO()
    options = {"default_mode": "passthrough"} if container == "matroska" else {}
    with av.open(target, "w", format=container, options=options) as output:
        streams = []
        for track in tracks:
            stream = output.add_stream(track.codec, rate=RATE_HZ, layout="mono")
            assert isinstance(stream, AudioStream)
            stream.disposition = Disposition.default if track.is_default else Disposition(0)
            streams.append(stream)
        output.start_encoding()
        packets = [
            packet
            for stream, track in zip(streams, tracks, strict=True)
            for packet in _encoded(stream, track.hz)
        ]
        for packet in sorted(packets, key=lambda one: (one.dts or 0) * float(one.time_base or 0)):
            output.mux(packet)
    return target.getvalue()


def _encoded(stream: AudioStream, hz: int) -> list[av.Packet]:
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(2 * RATE_HZ) / RATE_HZ)
    frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts = RATE_HZ, 0
    size = stream.codec_context.frame_size or 1024
    shaper = av.AudioResampler(stream.format.name, "mono", RATE_HZ, size)
    parts = [*shaper.resample(frame), *shaper.resample(None)]
    return [packet for part in [*parts, None] for packet in stream.encode(part)]


def loudest_hz(samples: FloatArray) -> int:
    middle = samples[0, 8_000:24_000]
    return int(np.argmax(np.abs(np.fft.rfft(middle)))) if np.abs(middle).max() > 0.01 else 0


FIRST, SECOND, THIRD = 300, 500, 700


def test_the_track_that_is_flagged_as_default_is_heard() -> None:
    tracks = [Track("aac", 0), Track("aac", SECOND, is_default=True), Track("aac", THIRD)]
    for container in ("matroska", "mp4"):
        assert loudest_hz(decode(file_of(container, tracks))) == SECOND


def test_without_a_flag_the_first_track_is_heard() -> None:
    tracks = [Track("aac", FIRST), Track("mp2", SECOND)]
    for container in ("matroska", "mpegts"):
        assert loudest_hz(decode(file_of(container, tracks))) == FIRST


@pytest.mark.parametrize("flagged", [False, True])
def test_a_track_that_cannot_be_decoded_gives_way_to_one_that_can(flagged: bool) -> None:
    tracks = [Track("tta", FIRST, is_default=flagged), Track("aac", SECOND), Track("ac3", THIRD)]
    decoder = AudioDecoder(io.BytesIO(file_of("matroska", tracks)))
    assert loudest_hz(np.concatenate(list(decoder.blocks()), axis=1)) == SECOND
    assert decoder.codec == "aac"


def test_a_track_is_chosen_by_its_number_from_1() -> None:
    tracks = [Track("aac", FIRST), Track("ac3", SECOND, is_default=True), Track("mp2", THIRD)]
    whole = file_of("matroska", tracks)
    assert [loudest_hz(decode(whole, track=number)) for number in (1, 2, 3)] == [
        FIRST,
        SECOND,
        THIRD,
    ]


def test_a_track_that_is_not_there_or_not_served_is_named() -> None:
    whole = file_of("matroska", [Track("aac", FIRST), Track("tta", SECOND)])
    with pytest.raises(UnreadableAudio, match=r"no track 3: the file has 2 audio tracks"):
        decode(whole, track=3)
    with pytest.raises(UnreadableAudio, match=r"track 2 is .*True Audio.* not supported"):
        decode(whole, track=2)


def test_a_wav_has_one_track() -> None:
    whole = file_of("wav", [Track("pcm_s16le", FIRST)])
    assert loudest_hz(decode(whole, track=1)) == FIRST
    with pytest.raises(UnreadableAudio, match=r"no track 2: the file has 1 audio track\."):
        decode(whole, track=2)

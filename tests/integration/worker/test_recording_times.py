"""Sound stands where the recording's own clock has it, whatever is missing in between."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from asr_core.errors import AudioTooLong
from asr_worker.audio.decoder import AudioDecoder, DecodeLimits, decode, spool
from asr_worker.audio.pcm import FloatArray

Encode = Callable[..., bytes]
Resample = Callable[[FloatArray, int, int], FloatArray]
# A tick may be this far off: holes that are not worth a silence yet, and a codec's blur.
NEAR_SECONDS = 0.07


def ticking(seconds: int, rate: int = 48_000) -> FloatArray:
    """A short tone at the beginning of every second."""
    at = np.arange(rate)
    second = np.where(at < rate // 50, 0.5 * np.sin(at * 2 * np.pi * 1000 / rate), 0.0)
    return np.tile(second, seconds).astype(np.float32)


def ticks(samples: FloatArray) -> list[float]:
    """When the tones begin, in seconds."""
    loud = np.abs(samples) > 0.1
    starts = np.flatnonzero(loud) / 16_000
    return [float(at) for n, at in enumerate(starts) if n == 0 or at - starts[n - 1] > 0.3]


def with_clock(
    samples: FloatArray,
    place: Callable[[float], float | None],
    *,
    container: str = "webm",
    codec: str = "libopus",
    rate: int = 48_000,
) -> bytes:
    """Encoded, with each packet at the second that `place` says instead of its own; None: lost."""
    target = io.BytesIO()
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
    frame.sample_rate, frame.pts = rate, 0
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        stream.layout = layout
        size = stream.codec_context.frame_size or rate // 50
        shaper = av.AudioResampler(stream.format.name, layout, rate, size)
        parts = [*shaper.resample(frame), *shaper.resample(None)]
        encoded = [packet for part in parts for packet in stream.encode(part)]
        for packet in [*encoded, *stream.encode(None)]:
            assert packet.time_base is not None
            second = place(float((packet.pts or 0) * packet.time_base))
            if second is not None:
                packet.pts = packet.dts = round(second / packet.time_base)
                output.mux(packet)
    return target.getvalue()


@pytest.mark.parametrize("container", ["webm", "matroska"])
def test_packets_that_never_came_delay_no_word_after_them(container: str) -> None:
    chance = np.random.default_rng(4)
    lossy = with_clock(
        ticking(95)[None],
        lambda at: at if (at + 0.05) % 1.0 < 0.15 or chance.random() > 0.04 else None,
        container=container,
    )
    heard = ticks(decode(lossy)[0])
    assert len(heard) == 95
    assert max(abs(at - second) for second, at in enumerate(heard)) < NEAR_SECONDS


@pytest.mark.parametrize("hole", [0.3, 59.0, 90.0, 3700.0])
def test_a_hole_is_as_long_as_it_was(hole: float) -> None:
    heard = ticks(decode(with_clock(ticking(8)[None], lambda at: at + hole * (at > 3.9)))[0])
    expected = [*range(4), *(second + hole for second in range(4, 8))]
    assert heard == pytest.approx(expected, abs=NEAR_SECONDS)


def test_holes_are_kept_in_every_channel() -> None:
    stereo = np.stack([ticking(4), ticking(4) / 2])
    split_by_speaker = decode(with_clock(stereo, lambda at: at + 5 * (at > 1.9)), channels="split")
    assert split_by_speaker.shape[0] == 2
    for lane in split_by_speaker * np.array([[1], [2]]):
        assert ticks(lane) == pytest.approx([0, 1, 7, 8], abs=NEAR_SECONDS)


def test_a_hole_costs_no_memory_however_wide_the_sound(tmp_path: Path) -> None:
    """59 seconds at 384 kHz in six channels would be 540 MB, and made thrice as much."""
    wide = np.tile(ticking(1, 384_000), (6, 1))
    body = with_clock(
        wide,
        lambda at: at + 59 * (at > 0.4),
        container="matroska",
        codec="pcm_f32le",
        rate=384_000,
    )
    tracemalloc.start()
    try:
        pcm = spool(body, tmp_path / "a.pcm")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pcm.duration_seconds == pytest.approx(60, abs=0.1)
    assert peak < 100 * 1024**2


def test_a_hostile_clock_meets_the_limit_before_any_silence_is_made(tmp_path: Path) -> None:
    def place(at: float) -> float:
        return at + 1e6 * (at > 0.5)

    body = with_clock(ticking(2)[None], place)
    written: list[int] = []
    decoder = AudioDecoder(body, limits=DecodeLimits(max_seconds=36_000))
    with pytest.raises(
        AudioTooLong, match=r"36000 s that are supported: .* clock jumps to 100000. s"
    ):
        written.extend(block.shape[1] for block in decoder.blocks())
    assert sum(written) <= 16_000


def test_a_clock_that_jumps_to_and_fro_ends_at_the_limit() -> None:
    jumping = with_clock(ticking(1)[None], lambda at: at + 500.0 * (at > 0.5))
    assert decode(jumping * 2).shape[1] / 16_000 == pytest.approx(1002, abs=1)
    with pytest.raises(AudioTooLong, match="900 s"):
        decode(jumping * 2, limits=DecodeLimits(max_seconds=900))


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize("channels", ["mix", "split"])
def test_sound_that_begins_late_in_a_video_is_heard_late(container: str, channels: str) -> None:
    body = video(container, ticking(3), late_seconds=3.0)
    lanes = decode(body, channels=channels)
    assert ticks(lanes[0]) == pytest.approx([3, 4, 5], abs=NEAR_SECONDS)


def test_sound_that_begins_with_its_video_stays_where_it_was() -> None:
    body = video("mp4", ticking(3), late_seconds=0.0)
    assert ticks(decode(body)[0]) == pytest.approx([0, 1, 2], abs=NEAR_SECONDS)


def test_a_recording_of_sound_alone_begins_with_its_sound() -> None:
    body = with_clock(ticking(3)[None], lambda at: at + 500)
    assert ticks(decode(body)[0]) == pytest.approx([0, 1, 2], abs=NEAR_SECONDS)


def video(container: str, sound: FloatArray, *, late_seconds: float) -> bytes:
    """Pictures from second 0, the sound later."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        pictures = output.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        stream = output.add_stream("aac", rate=48_000)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        for number in range(round((late_seconds + len(sound) / 48_000) * 10)):
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts = number
            output.mux(pictures.encode(picture))
        output.mux(pictures.encode(None))
        shaper = av.AudioResampler("fltp", "mono", 48_000, stream.codec_context.frame_size)
        frame = av.AudioFrame.from_ndarray(sound[None].copy(), "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, round(late_seconds * 48_000)
        for part in [*shaper.resample(frame), *shaper.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return target.getvalue()


# --- Ordinary files: the samples are those of FFmpeg, mixed and resampled, and nothing else. ---

ORDINARY = [
    ("wav", "pcm_s16le", 16_000, 1),
    ("wav", "pcm_s16le", 44_100, 2),
    ("wav", "pcm_mulaw", 8_000, 1),
    ("flac", "flac", 44_100, 2),
    ("mp3", "libmp3lame", 44_100, 2),
    ("mp3", "libmp3lame", 16_000, 1),
    ("ogg", "libopus", 48_000, 1),
    ("ogg", "vorbis", 44_100, 2),
    ("webm", "libopus", 48_000, 2),
    ("mp4", "aac", 44_100, 1),
    ("ipod", "alac", 44_100, 1),
    ("adts", "aac", 16_000, 1),
    ("matroska", "aac", 48_000, 2),
    ("mov", "pcm_s16le", 44_100, 1),
]


@pytest.mark.parametrize(("container", "codec", "rate", "count"), ORDINARY)
def test_an_ordinary_file_gives_every_sample_as_before(
    container: str,
    codec: str,
    rate: int,
    count: int,
    embedded_folder: Path,
    encode: Encode,
    resample: Resample,
) -> None:
    speech = resample(decode(embedded_folder / "demo.wav")[0], 16_000, rate)
    body = encode(np.stack([speech, speech / 2][:count]), rate, container, codec)
    decoder = AudioDecoder(body)
    ours = np.concatenate(list(decoder.blocks()), axis=1)
    np.testing.assert_array_equal(ours, plainly_decoded(body, rate))
    assert decoder.warnings == ()


def plainly_decoded(body: bytes, rate: int) -> FloatArray:
    """All frames in a row, the mean of their channels, one resampler."""
    with av.open(io.BytesIO(body)) as container:
        frames = [as_float(frame) for frame in container.decode(audio=0)]
    mixed = np.concatenate(frames, axis=1).mean(axis=0, keepdims=True)
    if rate == 16_000:
        return mixed
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mixed), "fltp", "mono")
    frame.sample_rate = rate
    parts: Iterable[av.AudioFrame] = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray() for part in parts], axis=1)


def as_float(frame: av.AudioFrame) -> FloatArray:
    raw = frame.to_ndarray()
    shaped = raw if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels).T
    scale = {"i2": 32768.0, "i4": 2147483648.0}.get(shaped.dtype.str[1:])
    samples = shaped.astype(np.float32)
    return samples / np.float32(scale) if scale else samples


# --- What a header claims is not how long it is. ---


def xing_times(mp3: bytes, factor: int) -> bytes:
    """An mp3 whose first frame claims so many times the frames that there are."""
    at = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    (frames,) = struct.unpack(">I", mp3[at + 8 : at + 12])
    return mp3[: at + 8] + struct.pack(">I", frames * factor) + mp3[at + 12 :]


def test_an_mp3_is_as_long_as_its_frames(encode: Encode) -> None:
    body = xing_times(encode(ticking(5, 44_100)[None], 44_100, "mp3", "libmp3lame"), 100)
    decoder = AudioDecoder(body, limits=DecodeLimits(max_seconds=60))
    assert sum(block.shape[1] for block in decoder.blocks()) == pytest.approx(80_000, abs=2000)
    (told,) = decoder.warnings
    assert (told.code, told.start_seconds) == ("cut_off", pytest.approx(5.0, abs=0.1))

"""The decoder on files of every served kind, made here with PyAV."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asr_core.errors import AudioTooLong, EmptyAudio, UnreadableAudio
from asr_core.options import TaskOptions
from asr_worker.audio.decoder import AudioDecoder, DecodeLimits, decode, spool
from asr_worker.audio.pcm import FloatArray
from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.funasr_models import find_model
from asr_worker.engines.sensevoice import SenseVoiceEngine

Encode = Callable[..., bytes]
Resample = Callable[[FloatArray, int, int], FloatArray]

# Container, codec, and the rates its encoder takes.
KINDS: list[tuple[str, str, tuple[int, ...]]] = [
    ("wav", "pcm_s16le", (8000, 11025, 16000, 22050, 32000, 44100, 48000)),
    ("wav", "pcm_u8", (16000,)),
    ("wav", "pcm_s24le", (48000,)),
    ("wav", "pcm_f32le", (44100,)),
    ("wav", "pcm_mulaw", (8000,)),
    ("flac", "flac", (8000, 16000, 44100, 48000)),
    ("mp3", "libmp3lame", (8000, 16000, 22050, 44100, 48000)),
    ("ogg", "vorbis", (16000, 44100)),
    ("ogg", "libopus", (8000, 16000, 48000)),
    ("opus", "libopus", (48000,)),
    ("webm", "libopus", (16000, 48000)),
    ("ipod", "aac", (16000, 44100, 48000)),
    ("mp4", "aac", (8000, 44100, 48000)),
    ("adts", "aac", (16000, 44100)),
    ("matroska", "flac", (48000,)),
    ("aiff", "pcm_s16be", (8000, 44100)),
    ("aiff", "pcm_s24be", (48000,)),
    ("caf", "pcm_s16be", (16000,)),
    ("caf", "alac", (44100,)),
    ("au", "pcm_s16be", (16000,)),
    ("au", "pcm_mulaw", (8000,)),
    ("asf", "wmav1", (48000,)),
    ("asf", "wmav2", (48000,)),
    ("mpegts", "aac", (48000,)),
    ("mpegts", "mp2", (48000,)),
    ("mpegts", "ac3", (48000,)),
    ("mpegts", "libopus", (48000,)),
    ("mpeg", "mp2", (48000,)),
    ("vob", "ac3", (48000,)),
    ("avi", "pcm_s16le", (16000,)),
    ("avi", "libmp3lame", (44100,)),
    ("flv", "aac", (44100,)),
    ("flv", "libmp3lame", (44100,)),
    ("ac3", "ac3", (32000, 48000)),
    ("eac3", "eac3", (48000,)),
    ("wv", "wavpack", (16000, 44100)),
    ("mov", "adpcm_ima_qt", (16000,)),
]
CASES = [(container, codec, rate) for container, codec, rates in KINDS for rate in rates]


@pytest.fixture(scope="module")
def tone() -> FloatArray:
    """Two seconds of 440 Hz at 16 kHz."""
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(32000) / 16000)).astype(np.float32)


@pytest.fixture(scope="module")
def wav(encode: Encode, tone: FloatArray) -> bytes:
    return encode(tone[None], 16000, "wav", "pcm_s16le")


@pytest.mark.parametrize(("container", "codec", "rate"), CASES)
def test_every_format_gives_the_same_sound(
    container: str, codec: str, rate: int, tone: FloatArray, encode: Encode, resample: Resample
) -> None:
    source = resample(tone, 16000, rate)
    for count in (2,) if codec == "vorbis" else (1, 2):
        decoder = AudioDecoder(encode(np.stack([source] * count), rate, container, codec))
        samples = np.concatenate(list(decoder.blocks()), axis=1)
        assert samples.dtype == np.float32
        assert samples.shape == (1, decoder.sample_count)
        assert samples.shape[1] / 16000 == pytest.approx(2.0, abs=0.13)
        spectrum = np.abs(np.fft.rfft(samples[0, 4000:20000]))
        assert np.argmax(spectrum) == 440
        loudness = np.sqrt(np.square(samples[0, 4000:20000]).mean())
        assert loudness == pytest.approx(0.3 / np.sqrt(2), rel=0.15)
        assert decoder.source_channels == count
        assert decoder.damaged_packets == 0


def test_every_format_of_a_recording_has_the_same_words(
    embedded_folder: Path, encode: Encode, resample: Resample
) -> None:
    engine = SenseVoiceEngine(find_model(str(embedded_folder)), "cpu", cpu_threads=1)
    engine.load()
    speech = decode(embedded_folder / "demo.wav")[0]
    expected = (embedded_folder / "demo.txt").read_text().split()
    recordings, cases = [], []
    for container, codec, rate in CASES:
        source = resample(speech, 16000, rate)
        for count in (2,) if codec == "vorbis" else (1, 2):
            encoded = encode(np.stack([source] * count), rate, container, codec)
            recordings.append(SegmentAudio(decode(encoded)[0], TaskOptions(language="en")))
            cases.append((container, codec, rate, count))
    for said, case in zip(engine.transcribe(recordings), cases, strict=True):
        assert said.text.split() == expected, case


def test_channels_are_mixed_or_kept_apart(tone: FloatArray, encode: Encode) -> None:
    stereo = encode(np.stack([tone, np.zeros_like(tone)]), 16000, "wav", "pcm_s16le")
    mixed, split_by_speaker = decode(stereo), decode(stereo, channels="split")
    assert mixed.shape == (1, 32000)
    assert split_by_speaker.shape == (2, 32000)
    np.testing.assert_allclose(mixed[0], split_by_speaker[0] / 2, atol=1e-6)
    assert not split_by_speaker[1].any()


def test_six_channels_are_kept_apart(tone: FloatArray, encode: Encode) -> None:
    surround = encode(np.stack([tone] * 6), 48000, "flac", "flac")
    assert decode(surround, channels="split").shape[0] == 6
    with pytest.raises(UnreadableAudio, match="6 channels, and at most 2"):
        decode(surround, limits=DecodeLimits(max_channels=2))


def test_sound_beside_pictures_is_found(tone: FloatArray) -> None:
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        video = output.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = output.add_stream("aac", rate=16000)
        sound.layout = "mono"
        for _ in range(20):
            picture = av.VideoFrame(64, 64, "yuv420p")
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        shaper = av.AudioResampler("fltp", "mono", 16000, sound.codec_context.frame_size)
        frame = av.AudioFrame.from_ndarray(tone[None].copy(), "fltp", "mono")
        frame.sample_rate = 16000
        for part in [*shaper.resample(frame), *shaper.resample(None)]:
            output.mux(sound.encode(part))
        output.mux(sound.encode(None))
    assert decode(target.getvalue()).shape[1] == pytest.approx(32000, abs=2100)


def test_a_path_bytes_and_an_open_file_are_the_same(wav: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav)
    with path.open("rb") as opened:
        from_file = decode(opened)
        assert not opened.closed
    np.testing.assert_array_equal(decode(path), decode(wav))
    np.testing.assert_array_equal(from_file, decode(wav))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello" * 1000,
        np.random.default_rng(0).bytes(50_000),
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.wav\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
    ],
    ids=["empty", "text", "noise", "hls", "concat", "dash"],
)
def test_what_is_no_audio_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableAudio):
        decode(content)


def test_a_file_without_samples_is_empty(wav: bytes) -> None:
    head = bytearray(wav[: wav.index(b"data") + 8])
    head[-4:] = bytes(4)
    with pytest.raises(EmptyAudio):
        decode(bytes(head))


def test_a_picture_has_no_sound() -> None:
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        video = output.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        output.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        output.mux(video.encode(None))
    with pytest.raises(UnreadableAudio, match="no audio stream"):
        decode(target.getvalue())


def test_a_codec_that_is_not_listed_is_never_run(tone: FloatArray, encode: Encode) -> None:
    with pytest.raises(UnreadableAudio, match=r"True Audio.*not supported"):
        decode(encode(tone[None], 48_000, "matroska", "tta"))


def test_a_title_that_is_not_utf8_does_not_matter(wav: bytes) -> None:
    titled = wav[:36] + b"LIST\x10\0\0\0INFOINAM\x04\0\0\0\xff\xfe\x80\0" + wav[36:]
    assert np.array_equal(decode(titled), decode(wav))


def test_a_header_that_points_outside_the_file_is_unreadable(
    tone: FloatArray, encode: Encode, tmp_path: Path
) -> None:
    whole = encode(tone[None], 16_000, "w64", "pcm_s16le")
    endless_chunk = b"x" * 16 + (2**62).to_bytes(8, "little")
    path = tmp_path / "damaged.w64"
    path.write_bytes(whole[:40] + endless_chunk + whole[40:])
    with pytest.raises(UnreadableAudio, match="outside"):
        decode(path)


def test_a_truncated_file_gives_what_is_left(wav: bytes, tone: FloatArray, encode: Encode) -> None:
    assert decode(wav[: len(wav) // 2]).shape[1] == pytest.approx(16000, abs=200)
    mp3 = encode(tone[None], 16000, "mp3", "libmp3lame")
    assert decode(mp3[: len(mp3) // 2]).shape[1] == pytest.approx(16000, abs=2500)


def test_damage_in_the_middle_costs_only_itself(tone: FloatArray, encode: Encode) -> None:
    flac = bytearray(encode(np.tile(tone, 5)[None], 16000, "flac", "flac"))
    middle = len(flac) // 2
    flac[middle : middle + 200] = bytes(200)
    assert decode(bytes(flac)).shape[1] == pytest.approx(160_000, abs=20_000)


def test_audio_over_the_limit_is_refused_while_it_is_decoded(wav: bytes, tmp_path: Path) -> None:
    target = tmp_path / "a.pcm"
    with pytest.raises(AudioTooLong, match=r"1\.5 s"):
        spool(io.BytesIO(wav), target, limits=DecodeLimits(max_seconds=1.5))
    assert list(tmp_path.iterdir()) == []
    assert decode(wav, limits=DecodeLimits(max_seconds=2)).shape == (1, 32000)


def test_spooled_samples_are_the_decoded_ones(wav: bytes, tmp_path: Path) -> None:
    pcm = spool(io.BytesIO(wav), tmp_path / "a.pcm")
    expected = decode(wav)[0]
    assert (pcm.sample_count, pcm.channels, pcm.duration_seconds) == (32000, 1, 2.0)
    assert (pcm.codec, pcm.source_rate, pcm.source_channels) == ("pcm_s16le", 16000, 1)
    assert pcm.source_channel(0) is None
    np.testing.assert_array_equal(pcm.samples(), expected)
    np.testing.assert_array_equal(pcm.samples(0, 100, 250), expected[100:250])
    np.testing.assert_array_equal(pcm.samples(0, 31990, 99999), expected[31990:])
    of_ten_ms = np.square(expected.reshape(-1, 160)).mean(axis=1)
    np.testing.assert_allclose(pcm.energy(), of_ten_ms, rtol=1e-5)
    pcm.delete()
    pcm.delete()
    assert list(tmp_path.iterdir()) == []


def test_lanes_of_a_spooled_file_are_read_apart(
    tone: FloatArray, encode: Encode, tmp_path: Path
) -> None:
    stereo = np.stack([tone[:10_010], tone[:10_010] / 2])
    pcm = spool(encode(stereo, 16000, "wav", "pcm_s16le"), tmp_path / "a.pcm", channels="split")
    assert (pcm.channels, pcm.sample_count, pcm.source_channel(1)) == (2, 10_010, 1)
    assert len(pcm.energy(1)) == 63
    np.testing.assert_allclose(pcm.samples(1) * 2, pcm.samples(0), atol=1e-4)
    np.testing.assert_allclose(pcm.energy(1) * 4, pcm.energy(0), rtol=1e-2)


def test_a_gap_in_the_containers_clock_becomes_silence(tone: FloatArray) -> None:
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=16000)
        stream.layout = "mono"
        for start in (0, 48000):
            whole = (tone[:16000] * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(whole, "s16", "mono")
            frame.sample_rate, frame.pts = 16000, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    samples = decode(target.getvalue())[0]
    assert len(samples) == pytest.approx(64000, abs=200)
    assert not samples[17000:47000].any()
    assert samples[49000:60000].any()

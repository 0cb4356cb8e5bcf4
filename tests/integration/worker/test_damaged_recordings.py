"""Of a damaged file the transcript says what it lacks; what can be read, is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from asr_core.errors import UnreadableAudio
from asr_worker.audio.decoder import AudioDecoder, decode, spool
from asr_worker.audio.pcm import FloatArray

Encode = Callable[..., bytes]
Babble = Callable[[float, int], FloatArray]
Told = list[tuple[str, float, float | None]]


@pytest.fixture(scope="module")
def speech(
    babble: Babble, resample: Callable[[FloatArray, int, int], FloatArray]
) -> Callable[[int], FloatArray]:
    """Six seconds of it at some rate."""
    sound = babble(6.0, 3)
    return lambda rate: resample(sound, 16_000, rate)


def read(body: bytes, channels: str = "mix") -> tuple[float, Told]:
    """Seconds, and what is said to be missing."""
    decoder = AudioDecoder(body, channels=channels)
    samples = sum(block.shape[1] for block in decoder.blocks())
    told = [(one.code, one.start_seconds, one.end_seconds) for one in decoder.warnings]
    return samples / 16_000, told


CUT = [
    ("wav", "pcm_s16le", 16_000),
    ("wav", "pcm_mulaw", 8_000),
    ("mp3", "libmp3lame", 44_100),
    ("flac", "flac", 44_100),
    ("webm", "libopus", 48_000),
    ("matroska", "aac", 48_000),
]


@pytest.mark.parametrize(("container", "codec", "rate"), CUT)
def test_a_file_that_was_cut_off_says_where_and_how_much_is_missing(
    container: str,
    codec: str,
    rate: int,
    speech: Callable[[int], FloatArray],
    encode: Encode,
) -> None:
    body = encode(speech(rate)[None], rate, container, codec)
    assert read(body)[1] == []
    seconds, told = read(body[: len(body) // 2 + 7])
    assert 2.0 < seconds < 4.0
    assert told == [("cut_off", pytest.approx(seconds, abs=0.12), pytest.approx(6.0, abs=0.1))]


@pytest.mark.parametrize("codec", ["libopus", "vorbis"])
def test_a_page_of_ogg_that_is_not_whole_says_that_the_end_is_missing(
    codec: str, speech: Callable[[int], FloatArray], encode: Encode
) -> None:
    body = encode(np.stack([speech(48_000)] * 2), 48_000, "ogg", codec)
    seconds, told = read(body[: len(body) // 2 + 7])
    assert told == [("cut_off", pytest.approx(seconds, abs=0.05), None)]


def test_an_mp4_that_was_cut_off_says_so(
    speech: Callable[[int], FloatArray], encode: Encode, tmp_path: Path
) -> None:
    body = in_front(encode(speech(48_000)[None], 48_000, "mp4", "aac"), tmp_path / "a.mp4")
    assert read(body)[1] == []
    seconds, told = read(body[: len(body) * 2 // 3])
    assert told == [("cut_off", pytest.approx(seconds, abs=0.12), pytest.approx(6.0, abs=0.1))]


def in_front(body: bytes, path: Path) -> bytes:
    """The same sound in an mp4 whose tables come first, as servers and phones write it."""
    with (
        av.open(io.BytesIO(body)) as source,
        av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    return path.read_bytes()


MIDDLE = [
    ("flac", "flac", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("adts", "aac", 16_000),
    ("ogg", "libopus", 48_000),
    ("ogg", "vorbis", 48_000),
    ("webm", "libopus", 48_000),
    ("mp4", "aac", 44_100),
]


@pytest.mark.parametrize(("container", "codec", "rate"), MIDDLE)
def test_damage_in_the_middle_is_told_where_it_is(
    container: str,
    codec: str,
    rate: int,
    speech: Callable[[int], FloatArray],
    encode: Encode,
) -> None:
    count = 2 if codec == "vorbis" else 1
    body = encode(np.stack([speech(rate)] * count), rate, container, codec)
    middle = len(body) // 2
    damaged = body[:middle] + bytes(2500) + body[middle + 2500 :]
    seconds, told = read(damaged)
    assert seconds == pytest.approx(6.0, abs=0.5)
    (what, start, end) = told[0]
    assert len(told) == 1
    assert what == "damaged"
    assert end is not None
    assert 1.5 < start < 4.0
    assert 0.01 < end - start < 4.0


def test_a_broken_codec_in_a_wav_tells_how_little_was_read(
    embedded_folder: Path, encode: Encode, resample: Callable[[FloatArray, int, int], FloatArray]
) -> None:
    """FFmpeg writes AAC into a wav and cannot read it back."""
    said = resample(decode(embedded_folder / "demo.wav")[0], 16_000, 44_100)
    seconds, told = read(encode(said[None], 44_100, "wav", "aac"))
    assert seconds < 1.0
    assert [what for what, *_ in told] == ["damaged", "cut_off"]
    assert told[-1][2] == pytest.approx(11.95, abs=0.1)


@pytest.mark.parametrize(
    ("codec", "rate", "count"),
    [("vorbis", 48_000, 2), ("vorbis", 22_050, 2), ("libopus", 48_000, 1), ("flac", 16_000, 1)],
)
@pytest.mark.parametrize("channels", ["mix", "split"])
def test_recordings_joined_in_one_ogg_are_all_read(
    codec: str,
    rate: int,
    count: int,
    channels: str,
    speech: Callable[[int], FloatArray],
    encode: Encode,
) -> None:
    first = encode(np.stack([speech(44_100)] * 2), 44_100, "ogg", "vorbis")
    second = encode(np.stack([speech(rate)] * count), rate, "ogg", codec)
    seconds, told = read(first + second + first, channels)
    assert seconds == pytest.approx(18.0, abs=0.2)
    assert told == []


JOINED = [
    ("wav", "pcm_s16le", 16_000),
    ("wav", "pcm_mulaw", 8_000),
    ("webm", "libopus", 48_000),
    ("matroska", "flac", 44_100),
    ("mp4", "aac", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("adts", "aac", 16_000),
]


@pytest.mark.parametrize(("container", "codec", "rate"), JOINED)
def test_recordings_joined_in_one_file_are_all_read(
    container: str,
    codec: str,
    rate: int,
    speech: Callable[[int], FloatArray],
    encode: Encode,
) -> None:
    piece = encode(speech(rate)[None], rate, container, codec)
    seconds, told = read(piece * 3)
    assert seconds == pytest.approx(18.0, abs=0.5)
    # An mp3's header amid its frames is a frame that cannot be decoded, and is told.
    assert all((what, codec) == ("damaged", "libmp3lame") for what, *_ in told)


def test_pieces_of_different_kinds_in_one_file_are_all_read(
    speech: Callable[[int], FloatArray], encode: Encode
) -> None:
    opus = encode(speech(48_000)[None], 48_000, "webm", "libopus")
    flac = encode(np.stack([speech(44_100)] * 2), 44_100, "matroska", "flac")
    assert read(flac + opus + flac) == (pytest.approx(18.0, abs=0.1), [])
    plain = encode(speech(44_100)[None], 44_100, "wav", "pcm_s16le")
    narrow = encode(speech(8_000)[None], 8_000, "wav", "pcm_mulaw")
    assert read(plain + narrow) == (pytest.approx(12.0, abs=0.1), [])


def test_a_recording_in_an_ogg_that_is_lost_is_told_and_the_next_is_read(
    speech: Callable[[int], FloatArray], encode: Encode
) -> None:
    first = encode(speech(48_000)[None], 48_000, "ogg", "libopus")
    lost = first[:28] + bytes(12) + first[40:]  # the codec's name
    seconds, told = read(first + lost + first)
    assert seconds == pytest.approx(12.0, abs=0.1)
    assert told == [("part_unreadable", pytest.approx(6.0, abs=0.05), None)]
    seconds, told = read(first + first[:100])
    assert seconds == pytest.approx(6.0, abs=0.1)
    assert told == [("part_unreadable", pytest.approx(6.0, abs=0.05), None)]
    seconds, told = read(first[: len(first) * 2 // 3] + first[: len(first) * 2 // 3])
    assert [what for what, *_ in told] == ["cut_off", "cut_off"]
    with pytest.raises(UnreadableAudio):
        read(lost + lost)


def test_what_stands_after_the_sound_is_no_damage(
    speech: Callable[[int], FloatArray], encode: Encode
) -> None:
    mp3 = encode(speech(44_100)[None], 44_100, "mp3", "libmp3lame")
    adts = encode(speech(16_000)[None], 16_000, "adts", "aac")
    tag = b"TAG" + b"x" * 125
    for body in (mp3 + tag, adts + tag, mp3[len(mp3) // 3 :]):
        assert read(body)[1] == []


def test_warnings_come_with_the_spooled_file(
    speech: Callable[[int], FloatArray], encode: Encode, tmp_path: Path
) -> None:
    body = encode(speech(44_100)[None], 44_100, "flac", "flac")
    pcm = spool(body[: len(body) // 2], tmp_path / "a.pcm")
    (told,) = pcm.warnings
    assert told.message.startswith("The file ends too early, at ")

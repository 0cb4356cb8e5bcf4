"""What of a recording is heard, by Silero: people's voices wholly, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from asr_core.options import TaskOptions
from asr_core.voice.silero import missing
from asr_worker.audio.decoder import decode
from asr_worker.audio.pcm import PcmFile, PcmWriter
from asr_worker.audio.speech import (
    MARGIN_SECONDS,
    EnergyDetector,
    SileroDetector,
    Speech,
    SpeechDetector,
    find_speech,
)
from asr_worker.transcript.recording import Recording, segment_recording

FloatArray = npt.NDArray[np.float32]
RATE = 16_000
RECORDINGS = Path(__file__).parents[4] / "shared" / "recordings"
PEOPLE = ("jfk.en.flac", "librispeech.en.wav", "asr_example.zh.mp3")
DECIBELS = (-60, -40, -20, -10, 0)

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture(scope="module")
def silero() -> SileroDetector:
    return SileroDetector()


@pytest.fixture
def record(tmp_path: Path) -> Callable[[FloatArray], PcmFile]:
    """Writes samples (channels, samples) or (samples,) as a decoder does."""

    def write(samples: FloatArray) -> PcmFile:
        channels = np.atleast_2d(samples)
        path = tmp_path / "pcm"
        with PcmWriter(path, len(channels)) as writer:
            writer.write(channels)
        return PcmFile(path, len(channels), channels.shape[1], mixed=len(channels) == 1)

    return write


@pytest.fixture
def hear(
    silero: SileroDetector, record: Callable[[FloatArray], PcmFile]
) -> Callable[[FloatArray], Speech]:
    def find(samples: FloatArray) -> Speech:
        pcm = record(samples)
        return find_speech(silero, pcm, 0, pcm.energy())

    return find


@pytest.fixture(params=PEOPLE)
def person(request: pytest.FixtureRequest) -> FloatArray:
    path = RECORDINGS / request.param
    if not path.is_file():
        pytest.skip(f"no recordings of people here: {path}")
    return decode(path)[0]


def _at(samples: npt.NDArray[np.float64], decibels: float) -> FloatArray:
    """At this root mean square, in decibels of full scale."""
    scaled = samples / np.sqrt(np.mean(samples**2)) * 10 ** (decibels / 20)
    return np.clip(scaled, -1, 1).astype(np.float32)


def _coloured(chance: np.random.Generator, count: int, slope: float) -> npt.NDArray[np.float64]:
    """Noise whose power falls with frequency to this power: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(chance.normal(size=count))
    bins = np.maximum(np.arange(len(spectrum)), 1)
    return np.fft.irfft(spectrum / bins ** (slope / 2), count)


def _tone(frequencies: tuple[float, ...], seconds: float, harmonics: int = 1) -> FloatArray:
    times = np.arange(int(seconds * RATE)) / RATE
    waves = [
        np.sin(2 * np.pi * f * k * times + k) / k
        for f in frequencies
        for k in range(1, harmonics + 1)
    ]
    return np.sum(waves, axis=0).astype(np.float32)


def _music(chance: np.random.Generator, step: float, harmonics: int, fading: float) -> FloatArray:
    """Major chords on random roots, as a hold line plays them."""
    fade = np.exp(-fading * np.arange(int(step * RATE)) / RATE).astype(np.float32)
    chords = []
    for _ in range(int(30 / step)):
        root = 220 * 2 ** (chance.integers(-12, 12) / 12)
        thirds = tuple(root * 2 ** (interval / 12) for interval in (0, 4, 7))
        chords.append(_tone(thirds, step, harmonics) * fade)
    return np.concatenate(chords)


def _clicks(chance: np.random.Generator) -> npt.NDArray[np.float64]:
    struck = np.zeros(30 * RATE)
    struck[chance.integers(0, len(struck), 150)] = 1
    return np.convolve(struck, np.exp(-np.arange(160) / 20) * chance.normal(size=160), "same")


def _sounds() -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    chance = np.random.default_rng(18)
    for name, slope in (("white", 0.0), ("pink", 1.0), ("brown", 2.0)):
        yield name, _coloured(chance, 30 * RATE, slope)
    for mains in (50.0, 60.0):
        hum = _tone((mains,), 30, 16).astype(np.float64)
        yield f"hum of {mains:g} Hz", hum
        yield f"hum of {mains:g} Hz in noise", hum + _coloured(chance, 30 * RATE, 1.0) * 1e-3
    yield "clicks", _clicks(chance)
    digits = [(a, b) for a in (697.0, 770.0, 852.0, 941.0) for b in (1209.0, 1336.0, 1477.0)]
    pause = np.zeros(RATE // 10, np.float32)
    dialled = [each for pair in digits for each in (_tone(pair, 0.2), pause)]
    yield "dialling", np.concatenate(dialled * 8).astype(np.float64)
    beep = [np.concatenate([_tone((425.0,), 0.5), np.zeros(RATE // 2, np.float32)])] * 30
    yield "engaged", np.concatenate(beep).astype(np.float64)
    for name, step, harmonics, fading in (
        ("piano", 0.5, 8, 3.0), ("organ", 2.0, 6, 0.3), ("strings", 1.5, 12, 0.2),
    ):  # fmt: skip
        yield name, _music(chance, step, harmonics, fading).astype(np.float64)
    times = np.arange(30 * RATE) / RATE
    yield "siren", np.sin(2 * np.pi * np.cumsum(600 + 300 * np.sin(np.pi * times)) / RATE)
    yield "fan", _coloured(chance, 30 * RATE, 1.6) * (1 + 0.5 * np.sin(2 * np.pi * 4 * times))


@pytest.mark.parametrize(("name", "sound"), [pytest.param(*s, id=s[0]) for s in _sounds()])
def test_what_is_no_speech_is_dropped_however_loud(
    hear: Callable[[FloatArray], Speech], name: str, sound: npt.NDArray[np.float64]
) -> None:
    """Half an hour and more together, half a minute of each at each level."""
    heard = hear(np.concatenate([_at(sound, decibels) for decibels in DECIBELS]))
    assert heard == Speech([], []), name


def test_silence_is_dropped(hear: Callable[[FloatArray], Speech]) -> None:
    assert hear(np.zeros(60 * RATE, np.float32)) == Speech([], [])
    last_bit = np.random.default_rng(1).integers(-1, 2, 60 * RATE).astype(np.float32) / 32768
    assert hear(last_bit) == Speech([], [])


def _kept_share(speech: Speech, start: int, end: int) -> float:
    inside = sum(max(min(s.end, end) - max(s.start, start), 0) for s in speech.kept)
    return inside / (end - start)


@pytest.mark.parametrize("decibels", [0, -20, -40])
def test_a_person_is_kept_whole_between_long_noise_however_quiet(
    hear: Callable[[FloatArray], Speech], person: FloatArray, decibels: float
) -> None:
    room = np.random.default_rng(2).normal(0, 10 ** (-75 / 20), 20 * RATE).astype(np.float32)
    spoken = person / np.abs(person).max() * np.float32(10 ** (decibels / 20))
    heard = hear(np.concatenate([room, spoken, room]))
    start, end = len(room), len(room) + len(person)
    assert _kept_share(heard, start, end) == 1.0
    assert sum(s.end - s.start for s in heard.kept) <= len(person) + 2.5 * RATE
    spoken_samples = sum(r.end - r.start for r in heard.regions)
    assert 0.6 * len(person) <= spoken_samples <= len(person) + 0.3 * RATE


def test_each_word_is_in_a_region(hear: Callable[[FloatArray], Speech]) -> None:
    path = RECORDINGS / "jfk.en.flac"
    if not path.is_file():
        pytest.skip(f"no recordings of people here: {path}")
    heard = hear(decode(path)[0])
    # "fellow", "Americans", "ask not", "can do for you", "ask", "your country": middles, estimated.
    for seconds in (1.1, 1.8, 3.5, 4.2, 5.8, 6.9, 8.4, 9.3, 10.2):
        at = round(seconds * RATE)
        assert any(region.start <= at < region.end for region in heard.regions), seconds


@pytest.mark.parametrize("surroundings", ["pink", "babble"])
def test_a_person_in_noise_of_10_db_is_kept(
    hear: Callable[[FloatArray], Speech], person: FloatArray, surroundings: str
) -> None:
    if surroundings == "pink":
        noise = _coloured(np.random.default_rng(3), len(person), 1.0)
    else:  # the same voice backwards, six times over itself
        backwards = person[::-1].astype(np.float64)
        noise = sum(np.roll(backwards, 7001 * n) for n in range(1, 7))  # type: ignore[assignment]
    noise *= np.sqrt(np.mean(person**2) / np.mean(noise**2)) * 10 ** (-10 / 20)
    mixed = (person + noise).astype(np.float32)
    assert _kept_share(hear(mixed / np.abs(mixed).max()), 0, len(mixed)) == 1.0


def test_speech_that_is_cut_off_at_an_edge_is_kept(
    hear: Callable[[FloatArray], Speech], person: FloatArray
) -> None:
    middle = person[int(1.2 * RATE) : int(4.4 * RATE)]
    heard = hear(middle)
    assert (heard.kept[0].start, heard.kept[-1].end) == (0, len(middle))
    pause = np.random.default_rng(4).normal(0, 1e-4, 30 * RATE).astype(np.float32)
    after = hear(np.concatenate([pause, middle[: int(0.9 * RATE)]]))
    assert after.kept[-1].end == len(pause) + int(0.9 * RATE)
    before = hear(np.concatenate([middle[-int(0.9 * RATE) :], pause]))
    assert before.kept[0].start == 0


def test_what_lies_within_a_second_of_speech_is_kept(
    hear: Callable[[FloatArray], Speech], person: FloatArray
) -> None:
    pause = np.random.default_rng(5).normal(0, 1e-4, 30 * RATE).astype(np.float32)
    heard = hear(np.concatenate([pause, person, pause]))
    margin = round(MARGIN_SECONDS * RATE)
    assert heard.kept[0].start <= heard.regions[0].start - margin
    assert heard.kept[-1].end >= heard.regions[-1].end + margin


def _segments(
    pcm: PcmFile, detector: SpeechDetector, on_block: Callable[[], None] = lambda: None
) -> Recording:
    return segment_recording(
        pcm, TaskOptions(), max_seconds=30, detector=detector, on_block=on_block
    )


def test_channels_are_looked_at_apart_and_shared_seconds_count_once(
    silero: SileroDetector, record: Callable[[FloatArray], PcmFile], person: FloatArray
) -> None:
    hold = _at(_music(np.random.default_rng(6), 0.5, 8, 3.0).astype(np.float64), -25)
    pause = np.full(20 * RATE, 1e-3, np.float32)
    left = np.concatenate([person, pause, hold])
    right = np.concatenate([person, np.full(len(left) - len(person), 1e-3, np.float32)])
    recording = _segments(record(np.stack([left, right])), silero)
    assert {segment.channel for segment in recording.segments} == {0, 1}
    assert max(part.span.end for part in recording.segments) <= len(person) + 1.5 * RATE
    alone = _segments(record(person), silero)
    assert recording.speech_seconds == pytest.approx(alone.speech_seconds, abs=0.2)
    assert 0.5 * len(person) / RATE < recording.speech_seconds <= len(person) / RATE


def test_everything_audible_is_speech_without_a_model(
    record: Callable[[FloatArray], PcmFile],
) -> None:
    noise = _at(np.random.default_rng(7).normal(size=10 * RATE), -30)
    recording = _segments(record(noise), EnergyDetector())
    assert recording.speech_seconds == recording.seconds == 10


def test_a_long_recording_is_read_a_minute_at_a_time_and_can_be_given_up(
    silero: SileroDetector, record: Callable[[FloatArray], PcmFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    pcm = record(_at(np.random.default_rng(8).normal(size=200 * RATE), -30))
    sizes: list[int] = []
    samples = PcmFile.samples

    def spied(
        self: PcmFile, channel: int = 0, start: int = 0, end: int | None = None
    ) -> FloatArray:
        read = samples(self, channel, start, end)
        sizes.append(len(read))
        return read

    monkeypatch.setattr(PcmFile, "samples", spied)
    assert _segments(pcm, silero).segments == ()
    assert sizes == [60 * RATE] * 3 + [20 * RATE]

    class GivenUp(Exception):
        pass

    def stop() -> None:
        raise GivenUp

    sizes.clear()
    with pytest.raises(GivenUp):
        _segments(pcm, silero, stop)
    assert len(sizes) == 1

"""Silero's model on onnxruntime: the probabilities of its authors, whole and in pieces."""

from __future__ import annotations

import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from asr_core.voice.regions import FRAME_SAMPLES
from asr_core.voice.silero import SileroModel, SileroState, missing

FloatArray = npt.NDArray[np.float32]
DEMO = Path(__file__).parents[3] / "worker" / "asr_worker" / "embedded" / "demo.wav"
# By silero_vad.onnx of the package silero-vad 6.2.3, a frame at a time: the largest of its models,
# whose results this one's are compared with.
THEIRS = {
    0: 0.00167, 10: 0.00505, 12: 0.05776, 13: 0.89253, 20: 0.99999, 79: 0.99997, 110: 0.99974,
    125: 0.00562, 145: 0.69411, 154: 0.00871, 200: 0.99933, 211: 0.99995, 300: 0.99967,
    367: 0.00793,
}  # fmt: skip

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture(scope="module")
def model() -> SileroModel:
    return SileroModel()


@pytest.fixture(scope="module")
def demo() -> FloatArray:
    with wave.open(str(DEMO)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return samples.astype(np.float32) / 32768


def test_probabilities_are_those_of_its_authors(model: SileroModel, demo: FloatArray) -> None:
    ours = list(model.probabilities([demo]))
    assert len(ours) == 374
    assert {at: ours[at] for at in THEIRS} == pytest.approx(THEIRS, abs=1e-4)


@pytest.mark.parametrize("size", [160, 511, 512, 513, 3000, 65_537])
def test_pieces_of_any_size_give_what_the_whole_gives(
    model: SileroModel, demo: FloatArray, size: int
) -> None:
    whole = list(model.probabilities([demo]))
    pieces = (demo[start : start + size] for start in range(0, len(demo), size))
    assert list(model.probabilities(pieces)) == pytest.approx(whole, abs=1e-5)


def test_streams_share_a_model_and_keep_their_states_apart(
    model: SileroModel, demo: FloatArray
) -> None:
    half = demo[: len(demo) // 2]
    whole, first = list(model.probabilities([demo])), list(model.probabilities([half]))
    with ThreadPoolExecutor(4) as threads:
        runs = [
            threads.submit(lambda s=s: list(model.probabilities([s]))) for s in [demo, half] * 4
        ]  # type: ignore[misc]
        for number, run in enumerate(runs):
            assert run.result() == (first if number % 2 else whole)


def test_a_state_can_be_gone_on_from_twice(model: SileroModel, demo: FloatArray) -> None:
    _, state = model.advance(demo[:20_000], SileroState())
    once, _ = model.advance(demo[20_000:60_000], state)
    twice, _ = model.advance(demo[20_000:60_000], state)
    assert once.tolist() == twice.tolist()


def test_no_sound_has_no_probability_and_less_than_a_frame_has_one(model: SileroModel) -> None:
    assert list(model.probabilities([])) == []
    assert list(model.probabilities([np.empty(0, np.float32)])) == []
    assert len(list(model.probabilities([np.zeros(1, np.float32)]))) == 1
    assert len(list(model.probabilities([np.zeros(FRAME_SAMPLES, np.float32)]))) == 1
    assert len(list(model.probabilities([np.zeros(FRAME_SAMPLES + 1, np.float32)]))) == 2

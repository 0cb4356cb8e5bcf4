"""FunASR's FSMN as a detector of speech, and which detector a worker chooses."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from omegaconf import OmegaConf

from asr_core.voice import silero
from asr_core.voice.regions import Region
from asr_worker.audio.speech import BLOCK_SAMPLES
from asr_worker.engines.choose_detector import load_detector
from asr_worker.engines.fsmn_vad import FsmnDetector
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

FloatArray = npt.NDArray[np.float32]
Babble = Callable[[float, int], FloatArray]
RATE = 16_000
_FRONTEND = {
    "fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10,
    "dither": 0.0, "lfr_m": 5, "lfr_n": 1, "cmvn_file": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def vad_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An FSMN that takes everything for speech but what is below a loudness."""
    import torch
    from funasr.models.fsmn_vad_streaming.encoder import FSMN

    folder = tmp_path_factory.mktemp("vad")
    encoder = {
        "input_dim": 400, "input_affine_dim": 16, "fsmn_layers": 1, "linear_dim": 16,
        "proj_dim": 8, "lorder": 4, "rorder": 0, "lstride": 1, "rstride": 0,
        "output_affine_dim": 16, "output_dim": 4,
    }  # fmt: skip
    torch.manual_seed(5)
    network = FSMN(**encoder)
    with torch.no_grad():
        network.out_linear2.linear.weight.zero_()
        network.out_linear2.linear.bias.copy_(torch.tensor([-9.0, 0, 0, 0]))
    weights = {f"encoder.{name}": value for name, value in network.state_dict().items()}
    torch.save(weights, folder / "model.pt")
    config = {
        "model": "FsmnVADStreaming",
        "model_conf": {"decibel_thres": -20.0},
        "encoder": "FSMN",
        "encoder_conf": encoder,
        "frontend": "WavFrontendOnline",
        "frontend_conf": _FRONTEND,
    }
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    return folder


@pytest.fixture(scope="module")
def detector(vad_folder: Path) -> FsmnDetector:
    found = load_detector(_settings(vad="fsmn", vad_model=str(vad_folder), cpu_threads=1))
    assert isinstance(found, FsmnDetector)
    return found


def _settings(**values: Any) -> WorkerSettings:
    return WorkerSettings(_env_file=None, **values)


def _blocks(samples: FloatArray) -> Iterator[FloatArray]:
    for start in range(0, len(samples), BLOCK_SAMPLES):
        yield samples[start : start + BLOCK_SAMPLES]


def _pause(seconds: float) -> FloatArray:
    return np.zeros(round(seconds * RATE), np.float32)


def _by_funasr(folder: Path, samples: FloatArray) -> list[Region]:
    """The whole at once, as FunASR does it by itself."""
    from funasr import AutoModel

    with contextlib.redirect_stdout(io.StringIO()):
        auto = AutoModel(model=str(folder), device="cpu", ncpu=1, disable_update=True)
        [told] = auto.generate(samples, disable_pbar=True)
    return [Region(start * 16, min(end * 16, len(samples))) for start, end in told["value"]]


def test_blocks_give_the_regions_that_funasr_finds_in_the_whole(
    detector: FsmnDetector, vad_folder: Path, babble: Babble
) -> None:
    parts = [_pause(4), babble(3, 1), _pause(52), babble(6, 2), _pause(70), babble(2, 3), _pause(3)]
    samples = np.concatenate(parts)
    found = detector.regions(_blocks(samples))
    assert found == _by_funasr(vad_folder, samples)
    assert len(found) == 3
    for region, begins, ends in zip(found, (4, 59, 135), (7, 65, 137), strict=True):
        assert begins - 0.6 < region.start / RATE <= begins + 0.1
        assert ends - 0.1 <= region.end / RATE < ends + 1.2


@pytest.mark.parametrize("samples", [1, 200, BLOCK_SAMPLES, BLOCK_SAMPLES + 1, 2 * BLOCK_SAMPLES])
def test_a_recording_of_any_length_is_looked_through(
    detector: FsmnDetector, babble: Babble, samples: int
) -> None:
    loud = np.resize(babble(5, 4), samples)
    found = detector.regions(_blocks(loud))
    assert all(0 <= start < end <= samples for start, end in found)
    assert sum(region.end - region.start for region in found) >= min(samples, 16_000) * (
        samples > RATE
    )
    assert detector.regions(_blocks(np.zeros(samples, np.float32))) == []


def test_no_sound_has_no_speech(detector: FsmnDetector) -> None:
    assert detector.regions(iter(())) == []


def test_unset_silero_is_chosen_or_a_named_model_of_funasr(vad_folder: Path) -> None:
    assert load_detector(_settings()).name == "silero"
    assert load_detector(_settings(vad="silero")).name == "silero"
    assert load_detector(_settings(vad="energy")).name == "energy"
    assert load_detector(_settings(vad_model=str(vad_folder))).name == "fsmn"


def test_without_onnxruntime_all_that_is_audible_is_heard_unless_silero_was_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(silero, "missing", lambda: "onnxruntime is not installed")
    assert load_detector(_settings()).name == "energy"
    with pytest.raises(ModelNotLoaded, match="ASR_VAD=silero cannot be used: onnxruntime is not"):
        load_detector(_settings(vad="silero"))


def test_a_named_model_that_is_not_there_or_is_another_ends_the_start(
    tmp_path: Path, random_folder: Path, vad_folder: Path
) -> None:
    with pytest.raises(ModelNotLoaded, match="does not exist"):
        load_detector(_settings(vad="fsmn", vad_model=str(tmp_path / "gone")))
    with pytest.raises(ModelNotLoaded, match="is SenseVoiceSmall; it must be FsmnVADStreaming"):
        load_detector(_settings(vad="fsmn", vad_model=str(random_folder)))
    with pytest.raises(ModelNotLoaded, match="ASR_VAD=silero takes none"):
        load_detector(_settings(vad="silero", vad_model=str(vad_folder)))

"""The encoder for inference gives what FunASR's own forward gives, however its segments lie."""

from __future__ import annotations

import contextlib
import copy
import io
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_worker.audio.decoder import decode
from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.choose import load_engine
from asr_worker.engines.funasr_models import SAFE_OPTIONS, find_model
from asr_worker.engines.linear import can_pack, packed
from asr_worker.engines.precision import lowered
from asr_worker.engines.sanm import PackedLayout, PaddedLayout, SanmEncoder
from asr_worker.engines.sensevoice import SenseVoiceEngine, pad_outputs
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import Precision, WorkerSettings

LENGTHS = (5, 33, 33, 1, 97, 40, 40, 40, 5)


@pytest.fixture(scope="module", params=["random", "embedded"])
def encoder(request: pytest.FixtureRequest) -> Any:
    folder: Path = request.getfixturevalue(f"{request.param}_folder")
    with contextlib.redirect_stdout(io.StringIO()):
        from funasr import AutoModel

        model, _ = AutoModel.build_model(model=str(folder), device="cpu", **SAFE_OPTIONS)
    return model.eval().encoder


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("layout", ["end to end", "side by side"])
def test_every_frame_is_that_of_funasr_whatever_shares_the_batch(
    encoder: Any, layout: str, is_packed: bool
) -> None:
    segments = [torch.randn(length, 560) for length in LENGTHS]
    laid = PackedLayout(LENGTHS) if layout == "end to end" else PaddedLayout(LENGTHS, "cpu")
    with torch.inference_mode():
        alone = [
            encoder(segment[None].clone(), torch.tensor([len(segment)]))[0][0]
            for segment in segments
        ]
        padded = torch.nn.utils.rnn.pad_sequence(segments, batch_first=True)
        ours = packed(copy.deepcopy(encoder)) if is_packed and can_pack() else encoder
        together = laid.valid(SanmEncoder(ours)(padded, laid))
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_lower_precision_still_says_the_words_of_the_demo(
    embedded_folder: Path, precision: Precision
) -> None:
    engine = SenseVoiceEngine(find_model(str(embedded_folder)), "cpu", 1, precision=precision)
    engine.load()
    (speech, *_), words = decode(embedded_folder / "demo.wav"), (embedded_folder / "demo.txt")
    said = engine.transcribe([SegmentAudio(speech), SegmentAudio(speech[: len(speech) // 2])])
    assert said[0].text == words.read_text().strip()
    assert said[0].words


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_what_fills_up_the_outputs_of_a_head_is_never_the_best_and_has_no_weight(
    precision: Precision,
) -> None:
    frames, head = torch.randn(40, 32), torch.nn.Linear(32, 55)
    with torch.inference_mode():
        scores = head(frames)
        pad_outputs(head)
        filled = lowered(torch.nn.Sequential(head), precision, "cpu")(frames)
    assert filled.shape == (40, 64)
    tolerance = 1e-6 if precision == "float32" else 0.1
    assert torch.allclose(filled[:, :55], scores, atol=tolerance)
    assert torch.allclose(filled.logsumexp(-1), scores.logsumexp(-1), atol=tolerance)


def test_int8_is_refused_on_a_gpu_and_where_no_library_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = torch.nn.Linear(1, 1)
    with pytest.raises(ModelNotLoaded, match="for CPUs"):
        lowered(model, "int8", "cuda:0")
    monkeypatch.setattr(torch._C, "_supported_qengines", lambda: [2])  # QNNPACK: ARM
    with pytest.raises(ModelNotLoaded, match="AVX2"):
        lowered(model, "int8", "cpu")


def test_a_precision_is_refused_where_the_engine_has_none() -> None:
    settings = WorkerSettings(
        _env_file=None, engine="automodel", precision="bfloat16", use_gpu=False
    )
    with pytest.raises(ModelNotLoaded, match="sensevoice, paraformer only"):
        load_engine(settings)

"""The Paraformer engine says what FunASR's own AutoModel says, whatever shares the batch."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asr_worker.audio.pcm import FloatArray
from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.choose import load_engine
from asr_worker.engines.cif import CifPredictor
from asr_worker.engines.funasr_models import find_model
from asr_worker.engines.paraformer import ParaformerEngine
from asr_worker.engines.sanm import PackedLayout, PaddedLayout, SanmEncoder
from asr_worker.engines.sanm_decoder import SanmDecoder
from asr_worker.engines.words import timed_words
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import Precision, WorkerSettings

Babble = Callable[[float, int], FloatArray]
ARCHITECTURES = ["Paraformer", "BiCifParaformer", "SeacoParaformer"]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, paraformer_folder: Callable[[str], Path]) -> Path:
    return paraformer_folder(request.param)


@pytest.fixture(scope="module")
def engine(folder: Path) -> ParaformerEngine:
    loaded = ParaformerEngine(find_model(str(folder)), "cpu", cpu_threads=1)
    loaded.load()
    return loaded


@pytest.fixture(scope="module")
def auto(folder: Path) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        from funasr import AutoModel

        return AutoModel(
            model=str(folder), device="cpu", ncpu=1, disable_update=True, disable_pbar=True,
            check_latest=False, disable_log=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def recordings(babble: Babble) -> list[FloatArray]:
    """48 segments of 0.1 to 8 seconds, and two that end in silence."""
    lengths = np.random.default_rng(5).uniform(0.1, 8.0, 48)
    made = [babble(float(seconds), index) for index, seconds in enumerate(lengths)]
    return [*made, np.pad(made[3], (0, 32_000)), np.pad(made[4], (0, 500))]


@pytest.fixture(scope="module")
def expected(auto: Any, recordings: list[FloatArray]) -> list[dict[str, Any]]:
    """What AutoModel says to each recording by itself; it says nothing of what has no token."""
    return [(auto.generate(pcm) or [{"text": ""}])[0] for pcm in recordings]


@pytest.mark.parametrize("batch_size", [1, 3, 17, 50])
def test_text_and_times_are_those_of_automodel_at_every_batch_size(
    engine: ParaformerEngine,
    recordings: list[FloatArray],
    expected: list[dict[str, Any]],
    batch_size: int,
) -> None:
    said = []
    for start in range(0, len(recordings), batch_size):
        batch = [SegmentAudio(pcm) for pcm in recordings[start : start + batch_size]]
        said += engine.transcribe(batch)
    assert [part.text for part in said] == [each["text"] for each in expected]
    assert len({part.text for part in said}) > 40, "it must not say one thing to everything"
    words = [timed_words(each["text"], None, each.get("timestamp", [])) for each in expected]
    assert [part.words for part in said] == words
    assert any(words) == ("timestamps" in engine.supports)


@pytest.mark.parametrize("layout", [PackedLayout, lambda lengths: PaddedLayout(lengths, "cpu")])
def test_every_score_is_that_of_funasr_however_the_segments_lie(
    auto: Any, recordings: list[FloatArray], layout: Callable[[list[int]], Any]
) -> None:
    lengths = [5, 33, 1, 97, 40]
    torch.manual_seed(2)
    segments = [torch.randn(length, 560) for length in lengths]
    model, alone, tokens = auto.model, [], []
    with torch.inference_mode():
        for segment in segments:
            count = torch.tensor([len(segment)])
            hidden, _ = model.encode(segment[None].clone(), count)
            embeddings, amount = model.calc_predictor(hidden, count)[:2]
            tokens.append(int(amount.round()))
            if tokens[-1]:
                scores, *_ = model.decoder(hidden, count, embeddings, amount.round().long())
                alone.append(scores[0, : tokens[-1]])
        memory = layout(lengths)
        padded = torch.nn.utils.rnn.pad_sequence(segments, batch_first=True)
        frames = SanmEncoder(model.encoder)(padded, memory)
        embeddings, counts = CifPredictor(model.predictor)(
            memory.to_padded(frames), torch.tensor(lengths)
        )
        assert counts.tolist() == tokens
        lying = layout(tokens)
        together = lying.valid(SanmDecoder(model.decoder)(embeddings, lying, frames, memory))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-3)


def test_silence_and_a_blink_are_answered(engine: ParaformerEngine) -> None:
    lengths = [1, 100, 399, 400, 16000]
    said = engine.transcribe([SegmentAudio(np.zeros(count, np.float32)) for count in lengths])
    assert len(said) == len(lengths)
    assert engine.transcribe([]) == []


def test_where_no_times_can_be_told_the_text_is_told_without_them(
    paraformer_folder: Callable[[str], Path],
) -> None:
    """FunASR's own code raises there, which must not cost a whole batch its texts."""
    engine = ParaformerEngine(find_model(str(paraformer_folder("BiCifParaformer"))), "cpu", 1)
    engine.load()
    silent = np.zeros(30, np.float32)
    ids = [20, 21, 22]
    said = engine._timed_text(ids, silent, silent)
    assert (said.text, said.words) == (engine._text(ids).text, ())
    assert said.text


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_lower_precision_runs_and_says_nearly_the_same(
    folder: Path,
    engine: ParaformerEngine,
    recordings: list[FloatArray],
    precision: Precision,
) -> None:
    lower = ParaformerEngine(find_model(str(folder)), "cpu", 1, precision=precision)
    lower.load()
    batch = [SegmentAudio(pcm) for pcm in recordings[:12]]
    exact, near = engine.transcribe(batch), lower.transcribe(batch)
    counts = [(len(a.text), len(b.text)) for a, b in zip(exact, near, strict=True)]
    assert all(abs(one - other) <= max(5, one * 0.35) for one, other in counts), counts


@pytest.mark.parametrize(
    ("architecture", "engine", "taken"),
    [
        ("Paraformer", "auto", "paraformer"),
        ("BiCifParaformer", "auto", "paraformer"),
        ("SeacoParaformer", "auto", "automodel"),  # which has its hotwords
        ("SeacoParaformer", "paraformer", "paraformer"),
        ("BiCifParaformer", "automodel", "automodel"),
    ],
)
def test_the_engine_follows_architecture_and_setting(
    paraformer_folder: Callable[[str], Path], architecture: str, engine: Any, taken: str
) -> None:
    folder = paraformer_folder(architecture)
    settings = WorkerSettings(
        _env_file=None, model=str(folder), engine=engine, use_gpu=False, cpu_threads=1
    )
    assert load_engine(settings).name == taken


def test_a_variant_that_is_not_known_is_refused(
    paraformer_folder: Callable[[str], Path], embedded_folder: Path
) -> None:
    loaded = ParaformerEngine(find_model(str(paraformer_folder("Paraformer"))), "cpu", 1)
    loaded.load()
    predictor = loaded._predictor._modules
    predictor.tail_threshold = 0.0
    with pytest.raises(ModelNotLoaded, match="ASR_ENGINE=automodel"):
        CifPredictor(predictor)
    settings = WorkerSettings(_env_file=None, engine="paraformer", use_gpu=False)
    with pytest.raises(ModelNotLoaded, match="SenseVoiceSmall"):
        load_engine(settings)

"""`automodel` with FunASR's helpers: what is heard, and punctuation, as FunASR composes them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from asr_worker.engines.base import Engine, SegmentAudio
from asr_worker.engines.choose import load_engine
from asr_worker.engines.tags import parse_tags
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

Babble = Callable[[float, int], Any]
PAUSE = np.zeros(4 * 16_000, np.float32)
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
def punc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT-Transformer with random weights: marks in odd places, always the same."""
    import torch
    from funasr.models.ct_transformer.model import CTTransformer

    folder = tmp_path_factory.mktemp("punc")
    tokens = ["<blank>", "<s>", "</s>", *map(chr, range(ord("a"), ord("z") + 1)), "<unk>"]
    (folder / "tokens.json").write_text(json.dumps(tokens))
    encoder = {
        "input_size": 32, "output_size": 32, "attention_heads": 2, "linear_units": 32,
        "num_blocks": 2, "dropout_rate": 0.1, "positional_dropout_rate": 0.1,
        "attention_dropout_rate": 0.0, "input_layer": "pe",
        "pos_enc_class": "SinusoidalPositionEncoder", "normalize_before": True, "kernel_size": 11,
        "sanm_shfit": 0, "selfattention_layer_type": "sanm", "padding_idx": 0,
    }  # fmt: skip
    model = {
        "punc_list": ["<unk>", "_", "，", "。", "？", "、"], "punc_weight": [1.0] * 6,
        "embed_unit": 32, "att_unit": 32, "sentence_end_id": 3,
    }  # fmt: skip
    config = {
        "model": "CTTransformer",
        "model_conf": model,
        "encoder": "SANMEncoder",
        "encoder_conf": encoder,
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "token_list": str(folder / "tokens.json")},
    }
    torch.manual_seed(5)
    network = CTTransformer(
        encoder="SANMEncoder", encoder_conf=encoder, vocab_size=len(tokens), **model
    )
    torch.save(network.state_dict(), folder / "model.pt")
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    return folder


def _loaded(model: Path, **helpers: Path) -> Engine:
    named: dict[str, Any] = {name: str(folder) for name, folder in helpers.items()}
    return load_engine(
        WorkerSettings(_env_file=None, model=str(model), use_gpu=False, cpu_threads=1, **named)
    )


def _funasr(model: Path, audio: Any, **helpers: Path) -> dict[str, Any]:
    """What FunASR says by itself."""
    from funasr import AutoModel

    named = {name: str(folder) for name, folder in helpers.items()}
    with contextlib.redirect_stdout(io.StringIO()):
        auto = AutoModel(
            model=str(model), device="cpu", ncpu=1, disable_update=True, disable_pbar=True, **named
        )
        [said] = auto.generate(audio, language="auto", use_itn=False, output_timestamp=True)
    told: dict[str, Any] = said
    return told


def test_only_what_the_voice_activity_model_lets_through_is_heard(
    paraformer_folder: Callable[[Any], Path], vad_folder: Path, babble: Babble
) -> None:
    model = paraformer_folder("BiCifParaformer")
    engine = _loaded(model, vad_model=vad_folder)
    assert engine.name == "automodel"
    audio = np.concatenate([PAUSE, babble(3.0, 1), PAUSE, babble(2.0, 2)])
    theirs = _funasr(model, audio, vad_model=vad_folder)
    said, silent, again = engine.submit(
        [SegmentAudio(audio), SegmentAudio(np.zeros(32_000, np.float32)), SegmentAudio(audio)]
    )()
    assert said.text == again.text == theirs["text"]
    assert silent.text == ""
    times = [(word.start_seconds * 1000, word.end_seconds * 1000) for word in said.words]
    assert times == [pytest.approx(tuple(time)) for time in theirs["timestamp"]]
    # The model hears words in silence, too; what is let through has a margin of a second.
    heard = [word.start_seconds for word in said.words]
    assert not [at for at in heard if at < 3 or 8 < at < 10]
    assert [at for at in heard if 4 < at < 7]
    assert [at for at in heard if at > 11]


def test_texts_are_punctuated_as_funasr_does_it(
    random_folder: Path, punc_folder: Path, babble: Babble
) -> None:
    engine = _loaded(random_folder, punc_model=punc_folder)
    assert engine.name == "automodel"
    audio = [babble(2.0 + seed, seed) for seed in range(3)]
    texts = [said.text for said in engine.submit([SegmentAudio(pcm) for pcm in audio])()]
    theirs = [
        parse_tags(_funasr(random_folder, pcm, punc_model=punc_folder)["text"]).text
        for pcm in audio
    ]
    assert [_bare(text) for text in texts] == [_bare(text) for text in theirs]
    assert any(mark in "".join(texts) for mark in ",.?，。？、")


def _bare(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("helper", ["punc_model", "vad_model"])
def test_helpers_of_funasr_are_refused_where_another_engine_is_asked_for(
    random_folder: Path, helper: str
) -> None:
    settings: dict[str, Any] = {helper: "any", "engine": "sensevoice", "model": str(random_folder)}
    with pytest.raises(ModelNotLoaded, match="need engine automodel"):
        load_engine(WorkerSettings(_env_file=None, use_gpu=False, **settings))

"""`automodel` with FunASR's punctuation, as FunASR composes them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from asr_worker.engines.base import Engine, SegmentAudio
from asr_worker.engines.choose import load_engine
from asr_worker.engines.tags import parse_tags
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

Babble = Callable[[float, int], Any]


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


def test_a_helper_of_funasr_is_refused_where_another_engine_is_asked_for(
    random_folder: Path,
) -> None:
    settings: dict[str, Any] = {
        "punc_model": "any", "engine": "sensevoice", "model": str(random_folder)
    }  # fmt: skip
    with pytest.raises(ModelNotLoaded, match="need engine automodel"):
        load_engine(WorkerSettings(_env_file=None, use_gpu=False, **settings))

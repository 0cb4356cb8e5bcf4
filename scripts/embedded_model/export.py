"""Write a model in FunASR's own folder format, small enough to commit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from batches import LFR_M, LFR_N
from tokens import sentencepiece_model
from vocabulary import vocabulary

MODEL_NAME = "asr-platform/embedded-en"
SIZE_LIMIT = 8 * 1024 * 1024

ENCODER_CONF: dict[str, Any] = {
    "output_size": 160,
    "attention_heads": 4,
    "linear_units": 640,
    "num_blocks": 6,
    "tp_blocks": 2,
    "dropout_rate": 0.1,
    "positional_dropout_rate": 0.1,
    "attention_dropout_rate": 0.0,
    "input_layer": "pe",
    "pos_enc_class": "SinusoidalPositionEncoder",
    "normalize_before": True,
    "kernel_size": 11,
    "sanm_shfit": 0,
    "selfattention_layer_type": "sanm",
}

CONFIG: dict[str, Any] = {
    "model": "SenseVoiceSmall",
    "model_conf": {"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
    "encoder": "SenseVoiceEncoderSmall",
    "encoder_conf": ENCODER_CONF,
    "tokenizer": "SentencepiecesTokenizer",
    "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
    "frontend": "WavFrontend",
    "frontend_conf": {
        "fs": 16000,
        "window": "hamming",
        "n_mels": 80,
        "frame_length": 25,
        "frame_shift": 10,
        "dither": 0.0,
        "lfr_m": LFR_M,
        "lfr_n": LFR_N,
        "cmvn_file": None,
    },
    "ctc_conf": {"dropout_rate": 0.0, "ctc_type": "builtin", "reduce": True},
}

CONFIGURATION: dict[str, Any] = {
    "framework": "pytorch",
    "task": "auto-speech-recognition",
    "model": {"type": "funasr"},
    "pipeline": {"type": "funasr-pipeline"},
    "model_name_in_hub": {"ms": "", "hf": ""},
    "file_path_metas": {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"bpemodel": "bpe.model"},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    },
}


def build_model(vocab_size: int) -> torch.nn.Module:
    """FunASR's SenseVoiceSmall in the size of the embedded model, freshly initialised."""
    from funasr.models.sense_voice.model import SenseVoiceSmall

    model: torch.nn.Module = SenseVoiceSmall(
        encoder=CONFIG["encoder"],
        encoder_conf=ENCODER_CONF,
        ctc_conf=CONFIG["ctc_conf"],
        input_size=80 * LFR_M,
        vocab_size=vocab_size,
        **CONFIG["model_conf"],
    )
    return model


def cmvn(mean: npt.NDArray[np.float32], std: npt.NDArray[np.float32]) -> str:
    """Text of ``am.mvn`` for the mean and deviation of 80 mel bands."""
    shift = " ".join(f"{value:.6f}" for value in np.tile(-mean, LFR_M))
    scale = " ".join(f"{value:.6f}" for value in np.tile(1 / std, LFR_M))
    size = 80 * LFR_M
    return (
        f"<Nnet>\n<Splice> {size} {size}\n[ 0 ]\n"
        f"<AddShift> {size} {size}\n<LearnRateCoef> 0 [ {shift} ]\n"
        f"<Rescale> {size} {size}\n<LearnRateCoef> 0 [ {scale} ]\n</Nnet>\n"
    )


def write_folder(
    folder: Path,
    state: dict[str, torch.Tensor],
    mean: npt.NDArray[np.float32],
    std: npt.NDArray[np.float32],
) -> int:
    """Write the model folder (weights as float16) and return the size of all its files."""
    folder.mkdir(parents=True, exist_ok=True)
    halved = {name: value.detach().to(torch.float16) for name, value in state.items()}
    torch.save(halved, folder / "model.pt")
    (folder / "am.mvn").write_text(cmvn(mean, std))
    (folder / "bpe.model").write_bytes(sentencepiece_model())
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (folder / "configuration.json").write_text(json.dumps(CONFIGURATION, indent=2) + "\n")
    domain = {"name": MODEL_NAME, "words": vocabulary()}
    (folder / "domain.json").write_text(json.dumps(domain) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    if size > SIZE_LIMIT:
        raise ValueError(f"{folder} holds {size} bytes, more than {SIZE_LIMIT}")
    return size

"""Models with random weights, as folders that FunASR loads: what a model costs, without a download.

The cost of a batch does not depend on the weights, but for one thing: how many tokens Paraformer
finds. Its predictor is set to about four a second, as people speak.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

Architecture = Literal["SenseVoiceSmall", "Paraformer", "BiCifParaformer", "SeacoParaformer"]
# Frames of 60 ms: so many tokens a frame are four a second.
_TOKENS_PER_FRAME: Final = 0.24
_FRONTEND: Final = {
    "fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10,
    "dither": 0.0, "lfr_m": 7, "lfr_n": 6, "cmvn_file": None,
}  # fmt: skip
_FEATURES: Final = 560


@dataclass(frozen=True)
class Shape:
    """Sizes of a model. The defaults are those of SenseVoice-Small and Paraformer-large."""

    size: int = 512
    heads: int = 4
    linear_units: int = 2048
    blocks: int = 50
    more_blocks: int = 20  # SenseVoice's second stack
    decoder_blocks: int = 16
    tokens: int = 0  # of the vocabulary; 0: as published

    @property
    def encoder(self) -> dict[str, Any]:
        return {
            "output_size": self.size, "attention_heads": self.heads,
            "linear_units": self.linear_units, "num_blocks": self.blocks, "dropout_rate": 0.1,
            "positional_dropout_rate": 0.1, "attention_dropout_rate": 0.1, "input_layer": "pe",
            "pos_enc_class": "SinusoidalPositionEncoder", "normalize_before": True,
            "kernel_size": 11, "sanm_shfit": 0, "selfattention_layer_type": "sanm",
        }  # fmt: skip

    def decoder(self, blocks: int) -> dict[str, Any]:
        return {
            "attention_heads": self.heads, "linear_units": self.linear_units,
            "num_blocks": blocks, "att_layer_num": blocks, "dropout_rate": 0.1,
            "positional_dropout_rate": 0.1, "self_attention_dropout_rate": 0.1,
            "src_attention_dropout_rate": 0.1, "kernel_size": 11, "sanm_shfit": 0,
        }  # fmt: skip


def write_model(folder: Path, architecture: Architecture, shape: Shape | None = None) -> Path:
    """Makes the model in `folder`, and returns the folder."""
    import torch

    shape = shape or Shape()
    torch.manual_seed(11)
    if architecture == "SenseVoiceSmall":
        _write_sensevoice(folder, shape)
    else:
        _write_paraformer(folder, architecture, shape)
    return folder


def write_voice_model(folder: Path) -> Path:
    """Makes a CAM++ of the published size in `folder`, and returns the folder."""
    import torch
    from omegaconf import OmegaConf

    from asr_worker.engines.registry import import_for

    OmegaConf.save(OmegaConf.create({"model": "CAMPPlus"}), folder / "config.yaml")
    import_for(folder)
    from funasr.models.campplus.model import CAMPPlus

    torch.manual_seed(11)
    torch.save(CAMPPlus().state_dict(), folder / "model.pt")
    return folder


def _write_sensevoice(folder: Path, shape: Shape) -> None:
    import torch
    from omegaconf import OmegaConf

    from asr_worker.engines.registry import import_for

    embedded = Path(str(files("asr_worker"))) / "embedded"
    for name in ("am.mvn", "configuration.json"):
        shutil.copy(embedded / name, folder)
    proto = import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
    proto.ParseFromString((embedded / "bpe.model").read_bytes())
    tokens = shape.tokens or 25_055
    for number in range(len(proto.pieces), tokens):
        proto.pieces.add(piece=f"▁word{number}", score=-100.0)
    (folder / "bpe.model").write_bytes(proto.SerializeToString())
    config: Any = OmegaConf.to_container(OmegaConf.load(embedded / "config.yaml"))
    config["encoder_conf"].update(**shape.encoder, tp_blocks=shape.more_blocks)
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    import_for(folder)
    from funasr.models.sense_voice.model import SenseVoiceSmall

    model = SenseVoiceSmall(
        encoder=config["encoder"],
        encoder_conf=config["encoder_conf"],
        ctc_conf=config["ctc_conf"],
        input_size=_FEATURES,
        vocab_size=tokens,
        **config["model_conf"],
    )
    torch.save(model.state_dict(), folder / "model.pt")


def _write_paraformer(folder: Path, architecture: Architecture, shape: Shape) -> None:
    import torch
    from omegaconf import OmegaConf

    from asr_worker.engines.registry import import_for

    vocabulary = _vocabulary(shape.tokens or 8404)
    parts = _paraformer_parts(architecture, shape, len(vocabulary))
    config = {
        "model": architecture,
        **parts,
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
        "frontend": "WavFrontend",
        "frontend_conf": _FRONTEND,
    }
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    import_for(folder)
    from funasr.register import tables

    model = tables.model_classes[architecture](
        input_size=_FEATURES, vocab_size=len(vocabulary), **parts.pop("model_conf"), **parts
    )
    with torch.no_grad():
        # Random scores lie close together; those of a trained model do not.
        model.decoder.output_layer.weight.mul_(20)
        model.predictor.cif_output.weight.mul_(8)
        model.predictor.cif_output.bias.fill_(_logit(_TOKENS_PER_FRAME))
    torch.save(model.state_dict(), folder / "model.pt")
    row = " ".join
    size = _FEATURES
    (folder / "am.mvn").write_text(
        f"<Nnet>\n<Splice> {size} {size}\n[ 0 ]\n"
        f"<AddShift> {size} {size}\n<LearnRateCoef> 0 [ {row(['-10.0'] * size)} ]\n"
        f"<Rescale> {size} {size}\n<LearnRateCoef> 0 [ {row(['0.3'] * size)} ]\n</Nnet>\n"
    )
    (folder / "tokens.json").write_text(json.dumps(vocabulary))
    named = {
        "tokenizer_conf": {"token_list": "tokens.json"},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    }
    metas = {"init_param": "model.pt", "config": "config.yaml", **named}
    (folder / "configuration.json").write_text(
        json.dumps({"framework": "pytorch", "model": {"type": "funasr"}, "file_path_metas": metas})
    )


def _paraformer_parts(architecture: Architecture, shape: Shape, tokens: int) -> dict[str, Any]:
    is_plain = architecture == "Paraformer"
    coarse = {
        "idim": shape.size, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45,
    }  # fmt: skip
    fine = {
        **coarse, "smooth_factor2": 0.25, "noise_threshold2": 0.01, "upsample_times": 3,
        "use_cif1_cnn": False, "upsample_type": "cnn_blstm",
    }  # fmt: skip
    model: dict[str, Any] = {
        "ctc_weight": 0.0, "lsm_weight": 0.1, "length_normalized_loss": True,
        "predictor_weight": 1.0, "predictor_bias": 1, "sampling_ratio": 0.75,
    }  # fmt: skip
    parts: dict[str, Any] = {
        "model_conf": model,
        "encoder": "SANMEncoder",
        "encoder_conf": shape.encoder,
        "decoder": "ParaformerSANMDecoder",
        "decoder_conf": shape.decoder(shape.decoder_blocks),
        "predictor": "CifPredictorV2" if is_plain else "CifPredictorV3",
        "predictor_conf": coarse if is_plain else fine,
    }
    if architecture == "SeacoParaformer":
        # Its hotword filter asks the sixth layer.
        parts |= {
            "seaco_decoder": "ParaformerSANMDecoder",
            "seaco_decoder_conf": {**shape.decoder(6), "wo_input_layer": True},
        }
        model |= {"inner_dim": shape.size, "bias_encoder_type": "lstm", "NO_BIAS": tokens - 1}
    return parts


def _vocabulary(tokens: int) -> list[str]:
    """Characters and a few English pieces, as Paraformer's is made."""
    pieces = ["the", "wor@@", "ld", "he@@", "llo", "a", "b", "c", "it", "is", "7", "don't"]
    listed = ["<blank>", "<s>", "</s>", *pieces]
    listed += [chr(0x4E00 + number) for number in range(tokens - len(listed) - 1)]
    return [*listed, "<unk>"]


def _logit(share: float) -> float:
    return math.log(share / (1 - share))

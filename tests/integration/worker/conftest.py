"""Recordings and small models for the tests of the worker's engine side."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.audio.stream import AudioStream
from omegaconf import OmegaConf

from asr_cli.bench.random_models import Architecture, Shape, write_model
from asr_worker.engines.registry import import_all

FloatArray = npt.NDArray[np.float32]
EMBEDDED = Path(__file__).parents[3] / "worker" / "asr_worker" / "embedded"
RICH_PIECES = [
    *("<|en|>", "<|zh|>", "<|nospeech|>", "<|NEUTRAL|>", "<|HAPPY|>", "<|EMO_UNKNOWN|>"),
    *("<|Speech|>", "<|BGM|>", "<|Event_UNK|>", "<|withitn|>", "<|woitn|>"),
]
SYLLABLES = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "ay", "or")]
ENCODER: dict[str, Any] = {
    "output_size": 64,
    "attention_heads": 4,
    "linear_units": 128,
    "num_blocks": 3,
    "tp_blocks": 1,
    "dropout_rate": 0.1,
    "positional_dropout_rate": 0.1,
    "attention_dropout_rate": 0.1,
    "input_layer": "pe",
    "pos_enc_class": "SinusoidalPositionEncoder",
    "normalize_before": True,
    "kernel_size": 11,
    "sanm_shfit": 0,
    "selfattention_layer_type": "sanm",
}
SMALL_PARAFORMER = Shape(
    size=64, linear_units=128, blocks=3, decoder_blocks=3, tokens=76
)  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def _all_of_funasr() -> None:
    """What engines are compared with is FunASR as everybody imports it."""
    import_all()


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def embedded_folder() -> Path:
    """The embedded model, where it has been trained."""
    if not (EMBEDDED / "model.pt").is_file():
        pytest.skip("the embedded model is not there")
    return EMBEDDED


@pytest.fixture(scope="session")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SenseVoiceSmall with random weights in FunASR's folder format: it babbles, repeatably."""
    import sentencepiece
    import torch
    from funasr.models.sense_voice.model import SenseVoiceSmall

    folder = tmp_path_factory.mktemp("random-sensevoice")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(SYLLABLES)] * 20),
        model_prefix=str(folder / "bpe"),
        vocab_size=160,
        hard_vocab_limit=False,
        user_defined_symbols=[*RICH_PIECES, *SYLLABLES],
        minloglevel=2,
    )
    (folder / "bpe.vocab").unlink()
    pieces = sentencepiece.SentencePieceProcessor(str(folder / "bpe.model")).get_piece_size()
    torch.manual_seed(7)
    model = SenseVoiceSmall(
        encoder="SenseVoiceEncoderSmall",
        encoder_conf=ENCODER,
        ctc_conf={"dropout_rate": 0.0, "ctc_type": "builtin", "reduce": True},
        input_size=560,
        vocab_size=pieces,
    )
    with torch.no_grad():
        model.ctc.ctc_lo.weight.mul_(20)
        model.ctc.ctc_lo.bias[0] += 2.0
    torch.save(model.state_dict(), folder / "model.pt")
    (folder / "am.mvn").write_text(_cmvn(shift=-10.0, scale=0.3))
    config = {
        "model": "SenseVoiceSmall",
        "model_conf": {"sos": 1, "eos": 2, "ignore_id": -1},
        "encoder": "SenseVoiceEncoderSmall",
        "encoder_conf": ENCODER,
        "tokenizer": "SentencepiecesTokenizer",
        "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
        "frontend": "WavFrontend",
        "frontend_conf": {
            "fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25,
            "frame_shift": 10, "dither": 0.0, "lfr_m": 7, "lfr_n": 6, "cmvn_file": None,
        },
        "ctc_conf": {"dropout_rate": 0.0, "ctc_type": "builtin", "reduce": True},
    }  # fmt: skip
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    return folder


@pytest.fixture(scope="session")
def paraformer_folder(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Architecture], Path]:
    """The folder of a Paraformer of the named architecture, with random weights."""
    made: dict[str, Path] = {}

    def folder(architecture: Architecture) -> Path:
        if architecture not in made:
            folder = tmp_path_factory.mktemp(architecture)
            made[architecture] = write_model(folder, architecture, SMALL_PARAFORMER)
        return made[architecture]

    return folder


@dataclass(frozen=True)
class TwoVoices:
    """Two people who say the same, and a speaker model that has learnt these two."""

    folder: Path
    first: FloatArray
    second: FloatArray


@pytest.fixture(scope="session")
def two_voices(tmp_path_factory: pytest.TempPathFactory, embedded_folder: Path) -> TwoVoices:
    """The embedded model's recording, the same spoken faster and higher, and a CAM++ of random
    weights whose last layer is fitted (ridge regression) to say which of the two it hears.
    """
    import torch
    from funasr.models.campplus.model import CAMPPlus
    from funasr.models.campplus.utils import extract_feature, sv_chunk

    with wave.open(str(embedded_folder / "demo.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    first = samples.astype(np.float32) / 32768
    places = np.arange(0, len(first) - 1, 1.3)
    second = np.interp(places, np.arange(len(first)), first).astype(np.float32)

    torch.manual_seed(11)
    model = CAMPPlus().eval()
    dense, pooled, sides = model.xvector.dense, [], []
    seeing = dense.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
    for side, voice in ((1.0, first), (-1.0, second)):
        windows = [torch.from_numpy(each[2]) for each in sv_chunk([[0.0, 0.0, voice]])]
        with torch.no_grad():
            model(extract_feature(windows)[0])
        sides += [side] * len(windows)
    seeing.remove()
    heard = torch.cat(pooled)
    mean, spread = heard.mean(0), heard.std(0) + 1e-6
    known = (heard - mean) / spread
    penalty = 0.1 * len(known) * torch.eye(len(known))
    direction = known.T @ torch.linalg.solve(known @ known.T + penalty, torch.tensor(sides))
    with torch.no_grad():
        dense.linear.weight.zero_()
        dense.linear.weight[0, :, 0] = direction / spread
        dense.nonlinear.batchnorm.running_mean[0] = (direction / spread) @ mean
    folder = tmp_path_factory.mktemp("two-voices")
    torch.save(model.state_dict(), folder / "model.pt")
    OmegaConf.save(OmegaConf.create({"model": "CAMPPlus"}), folder / "config.yaml")
    return TwoVoices(folder, first, second)


@pytest.fixture(scope="session")
def babble() -> Callable[[float, int], FloatArray]:
    """Noise whose colour and loudness change ten times a second: features that vary."""

    def make(seconds: float, seed: int) -> FloatArray:
        noise = np.random.default_rng(seed)
        parts = []
        for _ in range(max(int(seconds * 10), 1)):
            tone = np.sin(np.arange(1600) * noise.uniform(0.02, 1.5)) * noise.uniform(0.01, 0.4)
            parts.append(tone + noise.normal(0, noise.uniform(1e-4, 0.05), 1600))
        return np.concatenate(parts)[: max(int(seconds * 16000), 1)].astype(np.float32)

    return make


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encode samples of shape (channels, samples) with PyAV."""

    def make(samples: FloatArray, rate: int, container: str, codec: str) -> bytes:
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
        # Without a time the muxer cannot tell the encoder's lead-in from sound.
        frame.sample_rate, frame.pts = rate, 0
        options = {"strict": "experimental"} if codec == "vorbis" else {}
        target = io.BytesIO()
        with av.open(target, "w", format=container) as output:
            stream = output.add_stream(codec, rate=rate, options=options)
            assert isinstance(stream, AudioStream)
            # FFmpeg's encoder of WMA needs more for two channels.
            stream.bit_rate = 192_000 if codec.startswith("wma") else 64_000
            stream.layout = layout
            size = stream.codec_context.frame_size or None
            shaper = av.AudioResampler(stream.format.name, layout, rate, size)
            for part in [*shaper.resample(frame), *shaper.resample(None)]:
                output.mux(stream.encode(part))
            output.mux(stream.encode(None))
        return target.getvalue()

    return make


@pytest.fixture(scope="session")
def resample() -> Callable[[FloatArray, int, int], FloatArray]:
    """Bring one lane to another rate, to make recordings at any rate from one at 16 kHz."""

    def make(lane: FloatArray, rate: int, target: int) -> FloatArray:
        if rate == target:
            return lane
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(lane[None]), "fltp", "mono")
        frame.sample_rate = rate
        shaper = av.AudioResampler("fltp", "mono", target)
        parts = [*shaper.resample(frame), *shaper.resample(None)]
        return np.concatenate([part.to_ndarray()[0] for part in parts])

    return make


def _cmvn(shift: float, scale: float) -> str:
    row = " ".join
    size = 560
    return (
        f"<Nnet>\n<Splice> {size} {size}\n[ 0 ]\n"
        f"<AddShift> {size} {size}\n<LearnRateCoef> 0 [ {row([str(shift)] * size)} ]\n"
        f"<Rescale> {size} {size}\n<LearnRateCoef> 0 [ {row([str(scale)] * size)} ]\n</Nnet>\n"
    )

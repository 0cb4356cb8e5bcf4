"""Log-mel features as Whisper was trained on, by numpy.

Source: `whisper/audio.py` (`log_mel_spectrogram`); the filters are Slaney's, as in
`librosa.filters.mel`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.errors import ModelNotLoaded

# Slaney's scale: linear up to 1 kHz, logarithmic above.
_HERTZ_PER_MEL: Final = 200 / 3
_LOG_FROM_HERTZ: Final = 1000.0
_LOG_STEP: Final = np.log(6.4) / 27.0
_DYNAMIC_RANGE: Final = 8.0  # powers of ten below the loudest
_QUIETEST: Final = 1e-10


@dataclass(frozen=True)
class FeatureShape:
    """Sizes of the features: samples per transform and per hop, and mel bands."""

    mels: int = 80
    fft_samples: int = 400
    hop_samples: int = 160

    @property
    def frames_per_second(self) -> float:
        return SAMPLE_RATE / self.hop_samples


def feature_shape(folder: Path, mels: int) -> FeatureShape:
    """As the folder's `preprocessor_config.json` has it, if there is one; `mels` are the model's.

    Raises ModelNotLoaded.
    """
    path = folder / "preprocessor_config.json"
    config: dict[str, Any] = {}
    if path.is_file():
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelNotLoaded(f"{path} is not JSON: {error}") from error
    expected = {"sampling_rate": SAMPLE_RATE, "feature_size": mels, "chunk_length": 30}
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise ModelNotLoaded(f"{path}: {name} is {config[name]}; it must be {value}")
    return FeatureShape(mels, config.get("n_fft", 400), config.get("hop_length", 160))


class LogMel:
    """Turns samples into features (mels, frames) of a window."""

    def __init__(self, shape: FeatureShape) -> None:
        self.shape = shape
        self._filters = mel_filters(shape.mels, shape.fft_samples)
        self._taper = np.hanning(shape.fft_samples + 1)[:-1].astype(np.float32)

    def __call__(self, pcm: FloatArray, window: float) -> FloatArray:
        """Features of `pcm`, followed by silence up to `window` seconds.

        The silence is not computed: its value follows from the loudest frame.
        """
        fft, hop = self.shape.fft_samples, self.shape.hop_samples
        frames = round(window * self.shape.frames_per_second)
        pcm = pcm[: frames * hop]
        heard = min(-(-(len(pcm) + fft // 2) // hop), frames)  # frames that reach into the samples
        padded = np.pad(pcm, (0, max(heard * hop + fft - len(pcm), 0)))
        padded = np.pad(padded, (fft // 2, 0), mode="reflect").astype(np.float32, copy=False)
        cuts = np.lib.stride_tricks.sliding_window_view(padded, fft)[::hop][:heard]
        power = np.abs(np.fft.rfft(cuts * self._taper, axis=-1)).astype(np.float32) ** 2
        energy = np.log10(np.maximum(self._filters @ power.T, _QUIETEST))
        silence = np.log10(_QUIETEST)
        floor = max(float(energy.max(initial=silence)), silence) - _DYNAMIC_RANGE
        features = np.full((self.shape.mels, frames), max(floor, silence), np.float32)
        features[:, :heard] = np.maximum(energy, floor)
        scaled: FloatArray = (features + 4.0) / 4.0
        return scaled


def mel_filters(mels: int, fft_samples: int) -> FloatArray:
    """Triangular filters (mels, frequencies) of equal area, from 0 to half the sample rate."""
    frequencies = np.fft.rfftfreq(fft_samples, 1 / SAMPLE_RATE)
    log_from = _LOG_FROM_HERTZ / _HERTZ_PER_MEL
    highest = log_from + np.log(SAMPLE_RATE / 2 / _LOG_FROM_HERTZ) / _LOG_STEP
    scale = np.linspace(0, highest, mels + 2)
    edges = np.where(
        scale < log_from,
        scale * _HERTZ_PER_MEL,
        _LOG_FROM_HERTZ * np.exp(_LOG_STEP * (scale - log_from)),
    )
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    triangles: FloatArray = filters.astype(np.float32)
    return triangles

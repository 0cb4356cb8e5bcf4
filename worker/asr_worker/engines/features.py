"""FunASR's WavFrontend for many segments at once: mel bands, stacked frames, normalised.

The same numbers as `funasr.frontends.wav_frontend.WavFrontend`, without a tensor for each step.
Without dither, whatever the model's configuration says: the same audio must give the same text
twice, and FunASR's own C++ runtime does the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import kaldi_native_fbank as knf
import numpy as np
import torch

from asr_core.errors import EngineFailed
from asr_worker.pcm import SAMPLE_RATE, FloatArray

# Fewer samples than this give no frame at all; they are padded with silence.
SHORTEST_SAMPLES = SAMPLE_RATE // 40


class FeatureExtractor:
    """Features of shape (frames, lfr_m x n_mels), as one padded batch."""

    def __init__(self, frontend: Any) -> None:
        """`frontend` is the model's WavFrontend; only its configuration is used."""
        if frontend.fs != SAMPLE_RATE:
            raise EngineFailed(f"the model wants {frontend.fs} Hz, decoding gives {SAMPLE_RATE} Hz")
        self._options = _fbank_options(frontend)
        self._scale = np.float32(1 << 15) if frontend.upsacle_samples else np.float32(1)
        self._mels = int(frontend.n_mels)
        self._stack = int(frontend.lfr_m)
        self._stride = int(frontend.lfr_n)
        cmvn = None if frontend.cmvn is None else frontend.cmvn.numpy().astype(np.float32)
        self._shift: FloatArray | None = None if cmvn is None else cmvn[0]
        self._gain: FloatArray | None = None if cmvn is None else cmvn[1]
        self.frame_seconds = frontend.frame_shift * self._stride / 1000

    def __call__(self, segments: Sequence[FloatArray]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (batch, frames, size) padded with zeros, and each segment's frames."""
        features = [self._features(pcm) for pcm in segments]
        lengths = [len(feature) for feature in features]
        padded = np.zeros((len(features), max(lengths), self._stack * self._mels), np.float32)
        for row, feature in zip(padded, features, strict=True):
            row[: len(feature)] = feature
        return torch.from_numpy(padded), torch.tensor(lengths)

    def _features(self, pcm: FloatArray) -> FloatArray:
        stacked = self._stacked(self._mel_bands(pcm))
        if self._shift is not None and self._gain is not None:
            size = stacked.shape[1]
            stacked += self._shift[:size]
            stacked *= self._gain[:size]
        return stacked

    def _mel_bands(self, pcm: FloatArray) -> FloatArray:
        samples = (
            pcm if len(pcm) >= SHORTEST_SAMPLES else np.pad(pcm, (0, SHORTEST_SAMPLES - len(pcm)))
        )
        extractor = knf.OnlineFbank(self._options)
        extractor.accept_waveform(SAMPLE_RATE, samples.astype(np.float32, copy=False) * self._scale)
        extractor.input_finished()
        bands = np.empty((extractor.num_frames_ready, self._mels), np.float32)
        for index in range(len(bands)):
            bands[index] = extractor.get_frame(index)
        return bands

    def _stacked(self, bands: FloatArray) -> FloatArray:
        """Low frame rate: every `stride` frames a stack of `stack`, the edges repeated."""
        count = -(-len(bands) // self._stride)
        left = (self._stack - 1) // 2
        rows = np.arange(count)[:, None] * self._stride + np.arange(self._stack)[None, :] - left
        stacked: FloatArray = bands[np.clip(rows, 0, len(bands) - 1)].reshape(count, -1)
        return stacked


def _fbank_options(frontend: Any) -> knf.FbankOptions:
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = float(frontend.fs)
    options.frame_opts.frame_length_ms = float(frontend.frame_length)
    options.frame_opts.frame_shift_ms = float(frontend.frame_shift)
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = bool(frontend.snip_edges)
    options.frame_opts.window_type = str(frontend.window)
    options.mel_opts.num_bins = int(frontend.n_mels)
    options.energy_floor = 0.0
    return options

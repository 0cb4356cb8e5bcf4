"""FunASR's WavFrontend for many segments at once: mel bands, stacked frames, normalised.

Equal to `funasr.frontends.wav_frontend.WavFrontend` up to float32 rounding, as a few tensor
operations for the whole batch. Always without dither, whatever the model's configuration says: the
same audio must give the same text, and FunASR's own C++ runtime does the same.

The segments are concatenated to one signal, each starting on a multiple of the frame shift, so that
all frames are one strided view of it; the few that reach into the next segment are not used.

Sources: Kaldi's feature-window.cc, feature-fbank.cc, mel-computations.cc; FunASR's `apply_lfr`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
import torch

from asr_core.errors import EngineFailed
from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.engines.transfer import to_device

# Shorter segments give no frame; they are padded with silence.
SHORTEST_SAMPLES = SAMPLE_RATE // 40
# Kaldi's defaults, which WavFrontend leaves as they are.
PRE_EMPHASIS: Final = 0.97
LOWEST_HZ: Final = 20.0
# Frames transformed at once: on a CPU buffers of 1 MB, which its cache holds; else two minutes.
CPU_FRAMES: Final = 512
DEVICE_FRAMES: Final = 12_000


class FeatureExtractor:
    """Features of shape (frames, lfr_m x n_mels), as one padded batch on `device`."""

    def __init__(self, frontend: Any, device: str = "cpu") -> None:
        """`frontend` is the model's WavFrontend; only its configuration is used."""
        if frontend.fs != SAMPLE_RATE:
            raise EngineFailed(f"the model wants {frontend.fs} Hz, decoding gives {SAMPLE_RATE} Hz")
        self._device = torch.device(device)
        self._scale = float(1 << 15) if frontend.upsacle_samples else 1.0
        self._length = int(SAMPLE_RATE * frontend.frame_length / 1000)
        self._shift = int(SAMPLE_RATE * frontend.frame_shift / 1000)
        self._snip_edges = bool(frontend.snip_edges)
        self._fft_size = 1 << (self._length - 1).bit_length()
        self._window = _window(str(frontend.window), self._length).to(self._device)
        self._mel = _mel_weights(int(frontend.n_mels), self._fft_size).to(self._device)
        self._stack = int(frontend.lfr_m)
        self._stride = int(frontend.lfr_n)
        self._cmvn = None if frontend.cmvn is None else frontend.cmvn.float().to(self._device)
        self.frame_seconds = frontend.frame_shift * self._stride / 1000

    def __call__(self, segments: Sequence[FloatArray]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (batch, frames, size) padded with zeros, and each segment's frames (on CPU)."""
        parts = [self._with_edges(pcm) for pcm in segments]
        slots = [-(-len(part) // self._shift) for part in parts]
        starts = [0, *accumulate(slots)]
        # Enough silence at the end for the frames that start in the last slots.
        signal = np.zeros(starts[-1] * self._shift + self._length, np.float32)
        for part, start in zip(parts, starts, strict=False):
            signal[start * self._shift :][: len(part)] = part
        bands = self._mel_bands(to_device(torch.from_numpy(signal), self._device).mul_(self._scale))
        counts = [(len(part) - self._length) // self._shift + 1 for part in parts]
        return self._stacked(bands, torch.tensor(starts[:-1]), torch.tensor(counts))

    def _with_edges(self, pcm: FloatArray) -> FloatArray:
        """Samples of which every frame lies inside: mirrored at the edges unless they are snipped.

        Source: `NumFrames`, `FirstSampleOfFrame` and `ExtractWindow` in feature-window.cc.
        """
        if len(pcm) < SHORTEST_SAMPLES:
            pcm = np.pad(pcm, (0, SHORTEST_SAMPLES - len(pcm)))
        if self._snip_edges:
            return pcm
        left = self._length // 2 - self._shift // 2
        frames = (len(pcm) + self._shift // 2) // self._shift
        right = (frames - 1) * self._shift + self._length - left - len(pcm)
        return np.pad(pcm[: len(pcm) + min(right, 0)], (left, max(right, 0)), mode="symmetric")

    def _mel_bands(self, signal: torch.Tensor) -> torch.Tensor:
        """Log mel energies (frames, n_mels) of every frame of the signal (samples).

        Each step rounds where Kaldi's `ProcessWindow` and `FbankComputer::Compute` do.
        """
        frames = signal.unfold(0, self._length, self._shift)
        count = len(frames)
        means = self._frame_sums(signal)[:count, None] / self._length
        at_once = min(CPU_FRAMES if self._device.type == "cpu" else DEVICE_FRAMES, count)
        centred = signal.new_empty(at_once, self._length)
        padded = signal.new_zeros(at_once, self._fft_size)
        bands = signal.new_empty(count, self._mel.shape[1])
        for start in range(0, count, at_once):
            part = slice(start, min(start + at_once, count))
            size = part.stop - part.start
            frame = torch.sub(frames[part], means[part], out=centred[:size])
            inside = padded[:size, : self._length]
            torch.sub(frame[:, 1:], frame[:, :-1], alpha=PRE_EMPHASIS, out=inside[:, 1:])
            torch.sub(frame[:, 0], frame[:, 0], alpha=PRE_EMPHASIS, out=inside[:, 0])
            inside.mul_(self._window)
            spectrum = torch.view_as_real(torch.fft.rfft(padded[:size])).square_()
            torch.mm(spectrum.flatten(1), self._mel, out=bands[part])
        return bands.clamp_(min=torch.finfo(torch.float32).eps).log_()

    def _frame_sums(self, signal: torch.Tensor) -> torch.Tensor:
        """The sum of each frame's samples (frames), by blocks that the frames share."""
        block = math.gcd(self._length, self._shift)
        blocks = signal.view(-1, block).sum(1)
        return blocks.unfold(0, self._length // block, self._shift // block).sum(1)

    def _stacked(
        self, bands: torch.Tensor, starts: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Low frame rate: every `stride` frames a stack of `stack`, the edges repeated.

        `starts` and `counts` (batch) say where in `bands` each segment's frames are.
        """
        lengths = (counts + self._stride - 1) // self._stride
        steps = torch.arange(int(lengths.max()))
        offsets = steps[:, None] * self._stride + torch.arange(self._stack) - (self._stack - 1) // 2
        inside = torch.minimum(offsets.clamp_(min=0), counts[:, None, None] - 1)
        rows = to_device(inside + starts[:, None, None], self._device)
        stacked = bands[rows].flatten(2)
        if self._cmvn is not None:
            size = stacked.shape[2]
            stacked.add_(self._cmvn[0, :size]).mul_(self._cmvn[1, :size])
        padding = steps >= lengths[:, None]
        return stacked.masked_fill_(to_device(padding[:, :, None], self._device), 0.0), lengths


def _window(name: str, length: int) -> torch.Tensor:
    """Window (samples). Source: `FeatureWindowFunction` in feature-window.cc."""
    turn = torch.arange(length, dtype=torch.float64) * (2 * math.pi / (length - 1))
    hanning = 0.5 - 0.5 * turn.cos()
    windows = {
        "hamming": 0.54 - 0.46 * turn.cos(),
        "hanning": hanning,
        "povey": hanning.pow(0.85),
        "sine": (turn / 2).sin(),
        "blackman": 0.42 - 0.5 * turn.cos() + 0.08 * (2 * turn).cos(),
        "rectangular": torch.ones_like(turn),
    }
    if name not in windows:
        raise EngineFailed(f"the model wants the window {name!r}; known: {', '.join(windows)}")
    return windows[name].float()


def _mel_weights(bands: int, fft_size: int) -> torch.Tensor:
    """Triangles (2 x bins, bands), a row for the real and one for the imaginary part of each bin.

    Over 20 Hz to half the sample rate, of equal width in mel = 1127 ln(1 + Hz / 700); the bin at
    half the sample rate has no weight. In float32, as Kaldi. Source: mel-computations.cc.
    """
    one = np.float32(1)

    def mel(hertz: Any) -> Any:
        return np.float32(1127) * np.log(one + np.asarray(hertz, np.float32) / np.float32(700))

    low, high = mel(LOWEST_HZ), mel(SAMPLE_RATE / 2)
    edges = low + np.arange(bands + 2, dtype=np.float32) * ((high - low) / np.float32(bands + 1))
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    at = mel(np.arange(fft_size // 2, dtype=np.float32) * np.float32(SAMPLE_RATE / fft_size))
    rising = (at[:, None] - left) / (center - left)
    falling = (right - at[:, None]) / (right - center)
    weights = np.zeros((fft_size // 2 + 1, bands), np.float32)
    weights[:-1] = np.maximum(np.minimum(rising, falling), 0)
    return torch.from_numpy(np.repeat(weights, 2, axis=0))

"""Training batches: utterances of like length, augmented anew each time they are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokens import tag_ids, word_ids

Frames = npt.NDArray[np.float32]
LFR_M, LFR_N = 7, 6
FLOOR = np.float32(-15.9424)
"""Log energy of digital silence in FunASR's front end."""


@dataclass
class Corpus:
    """The training set: log-mel frames ``(time, 80)`` in float16 and the text of each clip."""

    frames: list[npt.NDArray[np.float16]]
    texts: list[str]

    @classmethod
    def load(cls, folder: Path, name: str) -> Corpus:
        """Read all the ``<name>-*.npz`` files of ``folder``."""
        frames: list[npt.NDArray[np.float16]] = []
        texts: list[str] = []
        for path in sorted(folder.glob(f"{name}-*.npz")):
            with np.load(path) as part:
                ends = np.cumsum(part["frames"])
                frames += np.split(part["features"], ends[:-1])
                texts += [str(text) for text in part["texts"]]
        if not frames:
            raise FileNotFoundError(f"no {name}-*.npz in {folder}: run prepare.py first")
        return cls(frames, texts)

    def statistics(self) -> tuple[Frames, Frames]:
        """Mean and standard deviation of each mel band, each of shape ``(80,)``."""
        sample = np.concatenate(self.frames[::5]).astype(np.float32)
        return sample.mean(axis=0), sample.std(axis=0)


@dataclass
class Batch:
    """``features`` (batch, time, 560), their ``lengths``, tag ids and the CTC targets."""

    features: torch.Tensor
    lengths: torch.Tensor
    tags: torch.Tensor
    targets: torch.Tensor
    target_lengths: torch.Tensor


def stack(frames: Frames) -> Frames:
    """Low frame rate: ``(time, 80)`` to ``(ceil(time / 6), 560)`` as FunASR stacks them."""
    count = -(-len(frames) // LFR_N)
    left = (LFR_M - 1) // 2
    right = max(0, (count - 1) * LFR_N + LFR_M - left - len(frames))
    padded = np.pad(frames, ((left, right), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, LFR_M, axis=0)[::LFR_N][:count]
    return np.ascontiguousarray(windows.transpose(0, 2, 1)).reshape(count, -1)


def augment(frames: Frames, rng: np.random.Generator) -> Frames:
    """Change speed, level, noise floor and bandwidth of log-mel frames at random."""
    frames = frames[rng.integers(0, 6) :]
    if rng.random() < 0.3:
        length = max(8, int(len(frames) * rng.uniform(0.88, 1.12)))
        places = np.linspace(0, len(frames) - 1, length)
        low = places.astype(int)
        share = (places - low).astype(np.float32)[:, None]
        frames = frames[low] * (1 - share) + frames[np.minimum(low + 1, len(frames) - 1)] * share
    frames = np.maximum(frames + np.float32(rng.uniform(-3, 3)), FLOOR)
    if rng.random() < 0.4:
        level = rng.uniform(-6, 9) + np.linspace(0, rng.uniform(-3, 2), frames.shape[1])
        jitter = rng.standard_normal(frames.shape) * 0.6
        frames = np.logaddexp(frames, (level + jitter).astype(np.float32))
    if rng.random() < 0.2:
        cutoff = int(rng.integers(54, 76))
        floor = rng.uniform(float(FLOOR), 3.0)
        jitter = rng.standard_normal((len(frames), frames.shape[1] - cutoff))
        frames = frames.copy()
        frames[:, cutoff:] = floor + jitter * min(0.6, floor - float(FLOOR))
    return frames.astype(np.float32)


def mask(frames: Frames, rng: np.random.Generator) -> Frames:
    """SpecAugment on normalised frames: up to two bands and two stretches of time are zeroed."""
    frames = frames.copy()
    for _ in range(2):
        width = int(rng.integers(0, 13))
        start = int(rng.integers(0, frames.shape[1] - width))
        frames[:, start : start + width] = 0
        width = int(rng.integers(0, max(1, min(9, len(frames) // 10))))
        start = int(rng.integers(0, len(frames) - width))
        frames[start : start + width] = 0
    return frames


class Batches:
    """Draws batches of about ``size`` stacked frames, in an order that ``seed`` fixes."""

    def __init__(self, corpus: Corpus, size: int, seed: int, norm: tuple[Frames, Frames]) -> None:
        self.corpus = corpus
        self.size = size
        self.seed = seed
        self.mean, self.std = norm

    def groups(self, epoch: int) -> list[list[int]]:
        """Indices of the utterances in each batch of pass ``epoch``."""
        rng = random.Random(self.seed * 1000 + epoch)
        lengths = [len(frames) * rng.uniform(0.95, 1.05) for frames in self.corpus.frames]
        groups: list[list[int]] = [[]]
        for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
            if groups[-1] and (len(groups[-1]) + 1) * (lengths[index] / LFR_N + 4) > self.size:
                groups.append([])
            groups[-1].append(index)
        rng.shuffle(groups)
        return groups

    def epoch(self, number: int, rank: int = 0, processes: int = 1) -> Iterator[Batch]:
        """The batches of process ``rank`` in one pass over the corpus."""
        for place, group in enumerate(self.groups(number)):
            if place % processes == rank:
                yield self.batch(group, np.random.default_rng([self.seed, number, place]))

    def batch(self, group: list[int], rng: np.random.Generator) -> Batch:
        """Augment, normalise, mask, stack and pad the utterances of ``group``."""
        features, tags, targets = [], [], []
        for index in group:
            text = self.corpus.texts[index]
            frames = augment(self.corpus.frames[index].astype(np.float32), rng)
            frames = mask((frames - self.mean) / self.std, rng)
            features.append(torch.from_numpy(stack(frames)))
            tags.append(tag_ids(bool(text), bool(rng.random() < 0.5)))
            targets.append(word_ids(text))
        return Batch(
            torch.nn.utils.rnn.pad_sequence(features, batch_first=True),
            torch.tensor([len(frames) for frames in features]),
            torch.tensor(tags),
            torch.tensor([number for words in targets for number in words]),
            torch.tensor([len(words) for words in targets]),
        )

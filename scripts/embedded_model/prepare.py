"""Speak the training set and keep its features.

Writes two sets of files. ``words-<part>.npz`` holds clips of one to three words, which
training begins with: CTC finds out there in minutes what whole words sound like, and takes
far longer on sentences. ``train-<part>.npz`` holds the sentences. Arrays of a file:
``features`` (float16 log-mel frames of 80 values every 10 ms, all clips one after another),
``frames`` (frames of each clip) and ``texts`` (its words; empty for one without speech).
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import speak
import torch
from vocabulary import sentences, vocabulary
from words import LETTERS

MELS = 80
TEST_SEED = 20_001
TEST_COUNT = 300


def test_sentences() -> list[str]:
    """The fixed held-out sentences; no training sentence is equal to any of them."""
    return sentences(TEST_COUNT, TEST_SEED)


def log_mel(audio: speak.Audio) -> npt.NDArray[np.float32]:
    """Log-mel frames ``(time, 80)`` of 16 kHz audio, as FunASR's front end computes them."""
    from funasr.frontends.wav_frontend import WavFrontend

    frontend = WavFrontend(fs=speak.SAMPLE_RATE, window="hamming", n_mels=MELS, dither=0.0)
    waveform = torch.from_numpy(np.ascontiguousarray(audio))[None]
    frames, _ = frontend(waveform, [waveform.shape[1]])
    return np.asarray(frames[0].numpy(), dtype=np.float32)


def plan(count: int, seed: int) -> list[list[str]]:
    """Texts of every utterance: mostly one sentence, some joined, some without speech."""
    rng = random.Random(seed)
    held_out = frozenset(text.lower() for text in test_sentences())
    pool = [text for text in sentences(count * 2, seed) if text.lower() not in held_out]
    utterances: list[list[str]] = []
    while len(utterances) < count:
        share = rng.random()
        size = 0 if share < 0.03 else 1 if share < 0.88 else rng.choice([2, 2, 2, 3, 3, 5])
        if size > len(pool):
            raise RuntimeError("not enough sentences for the utterances")
        utterances.append([pool.pop() for _ in range(size)])
    return utterances


def plan_words(repeats: int, seed: int) -> list[list[str]]:
    """Every word of the domain alone ``repeats`` times, and half as many short word groups."""
    rng = random.Random(seed)
    words = [word.upper() if word in LETTERS else word for word in vocabulary()]
    alone = [[word] for word in words for _ in range(repeats)]
    groups = [
        [" ".join(rng.choice(words) for _ in range(rng.choice([2, 2, 3])))]
        for _ in range(len(alone) // 2)
    ]
    both = alone + groups
    rng.shuffle(both)
    return both


def write_part(task: tuple[Path, int, list[list[str]]]) -> str:
    """Speak one part of the plan and write its file; returns a line for the log."""
    path, seed, utterances = task
    torch.set_num_threads(1)
    features: list[npt.NDArray[np.float16]] = []
    for number, texts in enumerate(utterances):
        rng = random.Random(seed * 1_000_003 + number)
        pad = path.name.startswith("train")
        audio = speak.utterance(texts, rng, pad=pad) if texts else speak.wordless(rng)
        features.append(log_mel(audio).astype(np.float16))
    np.savez(
        path,
        features=np.concatenate(features),
        frames=np.array([len(frames) for frames in features]),
        texts=np.array([" ".join(texts).lower() for texts in utterances]),
    )
    hours = sum(len(frames) for frames in features) / 360_000
    return f"{path.name}: {len(utterances)} utterances, {hours:.2f} hours"


def main() -> None:
    """Write all parts, in as many processes as asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/embedded_model"))
    parser.add_argument("--count", type=int, default=24_000, help="training utterances")
    parser.add_argument("--repeats", type=int, default=10, help="times each word is said alone")
    parser.add_argument("--parts", type=int, default=12, help="files to write")
    parser.add_argument("--seed", type=int, default=1, help="seed of texts and speakers")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    plans = {
        "words": plan_words(options.repeats, options.seed),
        "train": plan(options.count, options.seed),
    }
    tasks = [
        (options.output / f"{name}-{part}.npz", options.seed * 1000 + part, chunk)
        for name, utterances in plans.items()
        for part in range(options.parts)
        if (chunk := utterances[part :: options.parts])
    ]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for line in pool.imap(write_part, tasks):
            print(line, flush=True)


if __name__ == "__main__":
    main()

"""Recordings of people with their words, from a folder: joined to any length, and word errors."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rapidfuzz.distance import Levenshtein

from asr_cli.bench.audio import SAMPLE_RATE, recordings

if TYPE_CHECKING:
    from asr_cli.bench.audio import Samples

# Between two recordings: a pause with faint noise, as a room has it.
PAUSE_SECONDS: Final = (0.4, 1.6)
ROOM_LEVEL: Final = 10  # of 32,768: -70 dB
_SUFFIXES: Final = frozenset({".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus"})
_UNSPACED: Final = ("\u3040", "\u9fff")


@dataclass(frozen=True)
class Speech:
    """Samples at 16 kHz, 16 bits, and the words in them; None where they are not known."""

    samples: Samples
    words: str | None


def speech(folder: Path | None, seconds: Sequence[float], seed: int) -> list[Speech]:
    """One of each length. Without a folder, of the bundled recording's sound, as other benches.

    Of a folder, whole recordings are joined as long as they fit, and one at least. Their words are
    in a text file of the same name. Raises ValueError for a folder without recordings.
    """
    if folder is None:
        return [Speech(each, None) for each in recordings(seconds, seed)]
    known = [_read(path) for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES]
    if not known:
        raise ValueError(f"{folder} holds no recordings: {', '.join(sorted(_SUFFIXES))}")
    chance = random.Random(seed)
    supply = islice(cycle(known), chance.randrange(len(known)), None)
    return [_joined(supply, length, chance) for length in seconds]


def _joined(supply: Iterator[Speech], seconds: float, chance: random.Random) -> Speech:
    """Whole recordings and pauses, up to `seconds`; one recording at least."""
    import numpy as np

    room = np.random.default_rng(chance.randrange(2**32))
    taken = [next(supply)]
    parts = [taken[0].samples]
    left = seconds * SAMPLE_RATE - len(parts[0])
    while True:
        pause = round(chance.uniform(*PAUSE_SECONDS) * SAMPLE_RATE)
        following = next(supply)
        left -= pause + len(following.samples)
        if left < 0:
            break
        taken.append(following)
        parts += [room.normal(0, ROOM_LEVEL, pause).astype(np.int16), following.samples]
    told = [each.words for each in taken if each.words is not None]
    return Speech(np.concatenate(parts), " ".join(told) if len(told) == len(taken) else None)


def _read(path: Path) -> Speech:
    import av
    import numpy as np

    with av.open(str(path)) as file:
        resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
        frames = [*file.decode(audio=0), None]
        parts = [part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)]
    told = path.with_suffix(".txt")
    words = told.read_text(encoding="utf-8") if told.is_file() else None
    return Speech(np.concatenate(parts), words)


def word_errors(expected: str, heard: str) -> tuple[int, int]:
    """Substitutions, insertions and deletions, at least so many, and the number of words.

    Case and punctuation aside; in scripts without spaces every character is a word.
    """
    wanted = words(expected)
    return Levenshtein.distance(wanted, words(heard)), len(wanted)


def words(text: str) -> list[str]:
    """Without case and punctuation; in scripts without spaces every character is a word."""
    low, high = _UNSPACED
    spread = "".join(
        f" {each} " if low <= each <= high else each if each.isalnum() or each == "'" else " "
        for each in text.lower()
    )
    return spread.split()

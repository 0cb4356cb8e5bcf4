"""Speech that a text left out, and its place in that text. Pure.

Whisper writes one language for a window. Where another is spoken before or after it, or after a
long pause, it may end without that. The words' times show where sound has no words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from asr_core.result import word_starts
from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.engines.base import SegmentText, Word
from asr_worker.engines.words import joins_without_space

# Shorter ones are pauses, and too short to be decoded alone.
LEAST_SECONDS: Final = 2.0
# Mean square of a stretch's loudest 0.3 s, as a share of the segment's: 25 dB below it.
LEAST_SHARE: Final = 10**-2.5
_LOUDNESS_SAMPLES: Final = round(0.3 * SAMPLE_RATE)


def unheard_stretches(pcm: FloatArray, words: Sequence[Word]) -> list[tuple[int, int]]:
    """Samples `start`..`end` of what is audible and has no words; none for a text without words."""
    if not words:
        return []
    edges = [0.0, *(each for word in words for each in (word.start_seconds, word.end_seconds))]
    edges.append(len(pcm) / SAMPLE_RATE)
    gaps = zip(edges[::2], edges[1::2], strict=True)
    loudest = _loudness(pcm)
    stretches = [
        (round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
        for start, end in gaps
        if end - start >= LEAST_SECONDS
    ]
    return [
        (start, end)
        for start, end in stretches
        if _loudness(pcm[start:end]) > loudest * LEAST_SHARE
    ]


def with_stretch(text: SegmentText, stretch: SegmentText, start_seconds: float) -> SegmentText:
    """A text with the words of a stretch that starts at `start_seconds`, in the order of time.

    Language and measures are those of the part with more words.
    """
    if not stretch.words:
        return text
    moved = tuple(
        replace(
            word,
            start_seconds=word.start_seconds + start_seconds,
            end_seconds=word.end_seconds + start_seconds,
        )
        for word in stretch.words
    )
    before = [word for word in text.words if word.start_seconds < start_seconds]
    at = _offset(text.text, before)
    parts = (text.text[:at].strip(), stretch.text, text.text[at:].strip())
    main = text if len(text.words) >= len(stretch.words) else stretch
    return replace(main, text=_joined(parts), words=(*before, *moved, *text.words[len(before) :]))


def _offset(text: str, words: Sequence[Word]) -> int:
    """Where the last of the text's first words ends; the text's end if they do not stand in it."""
    if not words:
        return 0
    starts = word_starts(text, [word.text for word in words])
    return starts[-1] + len(words[-1].text) if starts else len(text)


def _joined(parts: Sequence[str]) -> str:
    joined = ""
    for part in filter(None, parts):
        space = "" if not joined or joins_without_space(joined[-1], part[0]) else " "
        joined += space + part
    return joined


def _loudness(pcm: FloatArray) -> float:
    """Mean square of the loudest 0.3 s."""
    count = max(len(pcm) // _LOUDNESS_SAMPLES, 1)
    parts = np.array_split(np.square(pcm, dtype=np.float64), count)
    return max((float(part.mean()) for part in parts if len(part)), default=0.0)

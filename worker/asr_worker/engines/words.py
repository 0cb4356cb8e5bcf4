"""Groups timed tokens to words. Pure.

A sentencepiece token that starts with `▁` starts a word; in scripts written without spaces every
character is a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from asr_worker.engines.base import Word

WORD_START: Final = "\u2581"
# Kana, Han with its extensions and compatibility forms, Thai, Lao, Khmer, full-width forms.
UNSPACED: Final = re.compile(
    "[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\u0e00-\u0eff\u1780-\u17ff"
    "\U00020000-\U0003ffff]"
)
SURFACE: Final = re.compile(UNSPACED.pattern + r"|[^\s" + UNSPACED.pattern[1:-1] + "]+")


@dataclass(frozen=True)
class TimedToken:
    """One decoded token; `piece` is its form in the model's vocabulary."""

    token_id: int
    piece: str
    start_seconds: float
    end_seconds: float
    confidence: float


def joins_without_space(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to scripts written without spaces."""
    return bool(UNSPACED.match(left) and UNSPACED.match(right))


def group_words(
    tokens: Sequence[TimedToken], decode: Callable[[list[int]], str]
) -> tuple[Word, ...]:
    """Joins tokens to words; a word spans its tokens and has their mean confidence.

    `decode` turns token ids into text, as only the model's tokenizer can (pieces of bytes).
    """
    groups: list[list[TimedToken]] = []
    for token in tokens:
        if groups and _continues(groups[-1][-1], token):
            groups[-1].append(token)
        else:
            groups.append([token])
    words = []
    for group in groups:
        text = decode([token.token_id for token in group]).strip()
        if text:
            confidence = sum(token.confidence for token in group) / len(group)
            words.append(Word(text, group[0].start_seconds, group[-1].end_seconds, confidence))
    return tuple(words)


def timed_words(
    text: str, words: Sequence[str] | None, times_ms: Sequence[Sequence[float]]
) -> tuple[Word, ...]:
    """Words from FunASR's `[[start_ms, end_ms], …]`.

    Times belong to `words` where the model names them, else to the words and characters of
    `text`; where the counts differ, nothing can be said and no word is returned.
    """
    surface = [word.strip(WORD_START) for word in words] if words else SURFACE.findall(text)
    if len(surface) != len(times_ms):
        return ()
    return tuple(
        Word(word, float(start) / 1000, float(end) / 1000)
        for word, (start, end) in zip(surface, times_ms, strict=True)
    )


def _continues(previous: TimedToken, token: TimedToken) -> bool:
    if token.piece.startswith(WORD_START):
        return False
    if _is_bytes(token.piece) and _is_bytes(previous.piece):
        return True
    bare = previous.piece.lstrip(WORD_START)
    return not (UNSPACED.search(token.piece) or (bare and UNSPACED.search(bare[-1])))


def _is_bytes(piece: str) -> bool:
    """A piece that is one byte of a character, as sentencepiece's byte fallback writes it."""
    return piece.startswith("<0x") and piece.endswith(">")

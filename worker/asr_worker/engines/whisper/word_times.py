"""Words with times, from the alignment of a text's tokens with the audio. Pure.

The model's cross-attention says which frame of 20 ms each token belongs to.
Source: `whisper/timing.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Final

from asr_worker.engines.base import Word
from asr_worker.engines.words import UNSPACED

FRAMES_PER_SECOND: Final = 50
_INCOMPLETE: Final = "\ufffd"
_OPENING: Final = "\"'“¿([{-「『（"
_CLOSING: Final = "\"'.。,，!！?？:：;；”)]}、」』）…"
# A word after a pause is given the pause, too: it lasts no longer than twice the median word.
_MEDIAN_AT_MOST_SECONDS: Final = 0.7


@dataclass(frozen=True)
class Alignment:
    """`pairs` of (token, frame) in order, the end of text counting as a token; one probability per
    token of the text.
    """

    pairs: Sequence[tuple[int, int]]
    probabilities: Sequence[float]


@dataclass(frozen=True)
class _Piece:
    """A stretch of tokens, as text with its leading space."""

    text: str
    start_seconds: float
    end_seconds: float
    probabilities: tuple[float, ...]

    def __add__(self, after: _Piece) -> _Piece:
        return _Piece(
            self.text + after.text,
            self.start_seconds,
            after.end_seconds,
            self.probabilities + after.probabilities,
        )


def timed_words(
    tokens: Sequence[int],
    decode: Callable[[Sequence[int]], str],
    alignment: Alignment,
    *,
    seconds: float,
) -> tuple[Word, ...]:
    """The words of a text in the order of speech, none beyond `seconds`."""
    starts = token_starts(alignment.pairs, len(tokens))
    pieces = [
        _Piece(
            decode(tokens[first:end]),
            min(starts[first], seconds),
            min(starts[end], seconds),
            tuple(alignment.probabilities[first:end]),
        )
        for first, end in _whole_characters(tokens, decode)
    ]
    words = _shortened(list(_joined(pieces)))
    return tuple(
        Word(each.text.strip(), each.start_seconds, each.end_seconds, fmean(each.probabilities))
        for each in words
        if each.text.strip()
    )


def token_starts(pairs: Sequence[tuple[int, int]], count: int) -> list[float]:
    """When each of `count` tokens starts, and when the last one ends, in seconds."""
    first: dict[int, int] = {}
    for token, frame in pairs:
        first.setdefault(token, frame)
    starts, latest = [], 0
    for token in range(count + 1):
        latest = max(first.get(token, pairs[-1][1] if pairs else 0), latest)
        starts.append(latest / FRAMES_PER_SECOND)
    return starts


def _whole_characters(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str]
) -> Iterator[tuple[int, int]]:
    """The shortest runs of tokens that are whole characters; a token may be a few bytes of one."""
    first = 0
    for end in range(1, len(tokens) + 1):
        if end == len(tokens) or _INCOMPLETE not in decode(tokens[first:end]):
            yield first, end
            first = end


def _joined(pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    """Pieces up to the next space; each on its own in scripts that are written without.

    Punctuation belongs to the word that it closes or opens, and takes no time of its own.
    """
    word: _Piece | None = None
    for piece in pieces:
        if word is None:
            word = piece
        elif _all_in(_OPENING, word.text):
            word = replace(word + piece, start_seconds=piece.start_seconds)
        elif _all_in(_CLOSING, piece.text) and not piece.text.startswith(" "):
            word = replace(word + piece, end_seconds=word.end_seconds)
        elif _begins_word(word.text, piece.text):
            yield word
            word = piece
        else:
            word += piece
    if word is not None:
        yield word


def _begins_word(before: str, text: str) -> bool:
    return text.startswith(" ") or bool(UNSPACED.search(text[:1]) or UNSPACED.search(before[-1:]))


def _all_in(marks: str, text: str) -> bool:
    stripped = text.strip()
    return bool(stripped) and all(mark in marks for mark in stripped)


def _shortened(words: list[_Piece]) -> list[_Piece]:
    """Words without the pause that the alignment gave those after punctuation, and the first."""
    lengths = [each.end_seconds - each.start_seconds for each in words]
    spoken = [length for length in lengths if length > 0]
    if not spoken:
        return words
    longest = 2 * min(median(spoken), _MEDIAN_AT_MOST_SECONDS)
    for number, word in enumerate(words):
        if number and words[number - 1].text[-1:] not in _CLOSING:
            continue
        earliest = word.end_seconds - longest
        words[number] = replace(word, start_seconds=max(word.start_seconds, earliest))
    return words

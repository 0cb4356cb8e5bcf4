"""The bundled recording: transcribed over HTTP to check that everything works."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

_FOLDER = "embedded"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TENS = {
    name: 10 * number
    for number, name in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), start=2
    )
}
_ORDINALS = {
    name: number
    for number, name in enumerate(
        ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
        start=1,
    )
}
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True)
class Demo:
    """A recording and the words spoken in it."""

    audio: Path
    expected: str


def find_demo() -> Demo | None:
    """The recording in the worker's package, found without importing it; None: not installed."""
    package = importlib.util.find_spec("asr_worker")
    for place in (package.submodule_search_locations or ()) if package else ():
        audio, words = Path(place) / _FOLDER / "demo.wav", Path(place) / _FOLDER / "demo.txt"
        if audio.is_file() and words.is_file():
            return Demo(audio, words.read_text(encoding="utf-8").strip())
    return None


def spoken_words(text: str) -> list[str]:
    """The words of a transcript without case, punctuation and typographic variants."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "")
    kept = (c if c.isalnum() else " " for c in folded)
    return "".join(kept).split()


def transcript_is_right(transcript: str, expected: str) -> bool:
    """Whether both have the same words; models write English numbers in words or in digits."""
    return _in_digits(spoken_words(transcript)) == _in_digits(spoken_words(expected))


def _in_digits(words: Sequence[str]) -> list[str]:
    """`twenty first` as `21st`; digits that follow each other as one number, however grouped."""
    folded: list[str] = []
    tens = 0
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if word in _TENS and (following in _ORDINALS or following in _DIGITS[1:]):
            tens = _TENS[word]
            continue
        if word in _ORDINALS:
            number = tens + _ORDINALS[word]
            folded.append(f"{number}{_ENDINGS.get(number % 10, 'th')}")
        else:
            digits = word
            if word in _DIGITS:
                digits = str(tens + _DIGITS.index(word))
            elif word in _TENS:
                digits = str(_TENS[word])
            if digits.isdecimal() and folded and folded[-1].isdecimal():
                folded[-1] += digits
            else:
                folded.append(digits)
        tens = 0
    return folded

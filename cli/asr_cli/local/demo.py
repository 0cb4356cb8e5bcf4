"""The bundled recording: transcribed over HTTP to check that everything works."""

from __future__ import annotations

import importlib.util
import unicodedata
from dataclasses import dataclass
from pathlib import Path

_FOLDER = "embedded"


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
    """Whether both have the same words."""
    return spoken_words(transcript) == spoken_words(expected)

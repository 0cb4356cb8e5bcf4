"""The tags SenseVoice writes into its text: `<|en|><|HAPPY|><|Speech|><|withitn|>text`. Pure.

The first four outputs are language, emotion, event and text normalisation; tags of events and
emotions may also stand in the middle. The names are those of FunASR's SenseVoiceSmall.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TAG: Final = re.compile(r"<\|([^|<>]*)\|>")
LANGUAGES: Final = frozenset({"zh", "en", "yue", "ja", "ko"})
EMOTIONS: Final = frozenset(
    {"HAPPY", "SAD", "ANGRY", "NEUTRAL", "FEARFUL", "DISGUSTED", "SURPRISED"}
)
EVENTS: Final = frozenset(
    {"BGM", "Speech", "Applause", "Laughter", "Cry", "Sneeze", "Breath", "Cough", "Sing",
     "Speech_Noise"}
)  # fmt: skip


@dataclass(frozen=True)
class TaggedText:
    """Text without tags, and the tags' values: emotions and events in lower case."""

    text: str
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()


def parse_tags(raw: str) -> TaggedText:
    """Splits text and tags. The first known emotion counts; events keep their order, each once.

    Unknown tags (`<|EMO_UNKNOWN|>`, `<|Event_UNK|>`, `<|nospeech|>`, …) are removed.
    """
    names = TAG.findall(raw)
    text = " ".join(TAG.sub(" ", raw).split())
    return TaggedText(
        text=text,
        language=next((name for name in names if name in LANGUAGES), None),
        emotion=next((name.lower() for name in names if name in EMOTIONS), None),
        events=tuple(dict.fromkeys(name.lower() for name in names if name in EVENTS)),
    )


def is_tag(piece: str) -> bool:
    """Whether a token of the model is a tag rather than text."""
    return TAG.fullmatch(piece.lstrip("\u2581")) is not None

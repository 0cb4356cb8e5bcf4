"""The transcript: what a worker writes to the store and the API renders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TranscriptWord(_Frozen):
    """One word with its place in the recording."""

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float | None = None


class TranscriptSegment(_Frozen):
    """A stretch between two quiet points, in one channel; `channel` is None for a mono mix.

    `speaker` is `A` for whoever speaks first, `B` for the next; None where nobody was told apart.
    The last four are Whisper's own measures of its decoding; None for other models.
    """

    start_seconds: float
    end_seconds: float
    text: str
    channel: int | None = None
    speaker: str | None = None
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()
    words: tuple[TranscriptWord, ...] = ()
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    temperature: float | None = None


class TranscriptWarning(_Frozen):
    """A part of the recording that could not be read, and is missing from the text.

    `code`: `damaged`, from start to end; `cut_off`, the file ends at `start_seconds`, and by its
    own header at `end_seconds`; `part_unreadable`, of several recordings in one file the one after
    `start_seconds`. `end_seconds` is None where nothing tells.
    """

    code: Literal["damaged", "cut_off", "part_unreadable"]
    message: str
    start_seconds: float
    end_seconds: float | None = None


class Transcript(_Frozen):
    """The whole result of one task; `options_ignored`: asked for, and not heeded by the model;
    `warnings`: what of the recording could not be read; `speech_seconds`: how long somebody speaks
    in it, in whatever channel, None in results of a release that did not look.
    """

    text: str
    language: str | None
    duration_seconds: float
    segments: tuple[TranscriptSegment, ...]
    model: str
    engine: str
    device: str
    speech_seconds: float | None = None
    options_ignored: tuple[str, ...] = ()
    warnings: tuple[TranscriptWarning, ...] = ()


def word_starts(text: str, words: Sequence[str]) -> list[int]:
    """Where each word begins in the text; empty if they do not stand in it in this order."""
    starts: list[int] = []
    position = 0
    for word in words:
        at = text.find(word, position) if word else -1
        if at < 0:
            return []
        starts.append(at)
        position = at + len(word)
    return starts

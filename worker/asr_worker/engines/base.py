"""What an engine is: the protocol, what goes in and what comes out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from asr_core.errors import AsrError
from asr_core.options import TaskOptions
from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray

Feature = Literal[
    "language", "itn", "hotwords", "timestamps", "emotion", "events", "speakers"
]  # fmt: skip


class ModelNotLoaded(AsrError):
    """The model cannot be loaded as configured: the worker must not start."""

    code: ClassVar[str] = "model_not_loaded"
    status: ClassVar[int] = 503


@dataclass(frozen=True, eq=False)
class SegmentAudio:
    """One segment: mono float32 in [-1, 1) at 16 kHz, and what its caller asked for."""

    pcm: FloatArray
    options: TaskOptions = field(default_factory=TaskOptions)

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE


@dataclass(frozen=True)
class Word:
    """One word; seconds count from the start of its segment, confidence is 0 to 1."""

    text: str
    start_seconds: float
    end_seconds: float
    confidence: float | None = None


@dataclass(frozen=True, eq=False)
class SpeakerEmbedding:
    """How a stretch of a segment sounds: embeddings (size,) of one speaker lie close together.

    Seconds count from the start of its segment.
    """

    start_seconds: float
    end_seconds: float
    embedding: FloatArray


@dataclass(frozen=True)
class SegmentText:
    """What was said in one segment; `text` carries no tags. Unknown fields are None or empty."""

    text: str
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    speaker_embeddings: tuple[SpeakerEmbedding, ...] = ()


# Gives the texts of a batch, in order. Any thread may call it, once.
PendingTexts = Callable[[], list[SegmentText]]


class Engine(Protocol):
    """A loaded or loadable model. One thread owns it."""

    @property
    def name(self) -> str:
        """Which engine this is: `sensevoice`, `paraformer` or `automodel`."""

    @property
    def model_id(self) -> str:
        """The model as it was configured: `embedded`, a hub id or a folder."""

    @property
    def device(self) -> str:
        """Where it computes, as torch names it: `cpu`, `cuda:0`."""

    @property
    def supports(self) -> frozenset[Feature]:
        """Which options it heeds and which fields it fills."""

    @property
    def languages(self) -> frozenset[str]:
        """The codes that `language` may ask for; empty where the engine does not know them."""

    def load(self) -> None:
        """Read the weights. Raises ModelNotLoaded."""

    def warm_up(self) -> None:
        """Run once, so that the first task does not pay for lazy initialisation."""

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        """Compute a batch, or have a GPU begin to; reading the texts is left to what it returns.

        One text for each segment. Results do not depend on what shares the batch.
        """

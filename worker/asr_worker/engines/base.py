"""The engine protocol and its input and output types. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from asr_core.options import TaskOptions
from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.metrics import WorkerMetrics

Feature = Literal[
    "language", "task", "itn", "hotwords", "prompt", "timestamps", "emotion", "events", "speakers"
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class SegmentAudio:
    """One segment: mono float32 in [-1, 1) at 16 kHz, and its caller's options."""

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
    """The embedding (size,) of the speaker in a window of a segment.

    Embeddings of one speaker are close together. Seconds count from the start of the segment.
    """

    start_seconds: float
    end_seconds: float
    embedding: FloatArray


@dataclass(frozen=True)
class SegmentText:
    """The text of one segment, without tags. Unknown fields are None or empty.

    The last four are Whisper's: mean log-probability per token, probability that nothing is
    spoken, bytes per compressed byte of the text, and the temperature it was sampled at.
    """

    text: str
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    speaker_embeddings: tuple[SpeakerEmbedding, ...] = ()
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    temperature: float | None = None


# Gives the texts of a batch, in order. Any thread may call it, once.
PendingTexts = Callable[[], list[SegmentText]]


class EngineServer(Protocol):
    """Where an engine computes that has no model in this process."""

    @property
    def requests_at_once(self) -> int:
        """How many segments it takes at once, each as a batch of its own."""

    @property
    def problem(self) -> str:
        """Why it cannot transcribe now; empty if it can. Safe from any thread."""

    def publish(self, metrics: WorkerMetrics) -> None:
        """Counts what it does from now on."""

    def close(self) -> None:
        """Ends what is under way. Called once, last."""


class Engine(Protocol):
    """A loaded or loadable model. One thread owns it."""

    @property
    def name(self) -> str:
        """Which engine this is: `sensevoice`, `paraformer`, `whisper`, `automodel` or `remote`."""

    @property
    def model_id(self) -> str:
        """The model as configured: `embedded`, a hub id or a folder."""

    @property
    def device(self) -> str:
        """The torch device: `cpu`, `cuda:0`; `remote` for a server's."""

    @property
    def supports(self) -> frozenset[Feature]:
        """The options and output fields that it supports."""

    @property
    def languages(self) -> frozenset[str]:
        """The codes that `language` accepts; empty if the engine does not know them."""

    def computed_seconds(self, seconds: float) -> float:
        """Seconds of audio that it computes for a segment of this length: more for an engine with
        windows. Batches are planned by it.
        """

    @property
    def server(self) -> EngineServer | None:
        """Where it computes; None for a model in this process."""

    def load(self) -> None:
        """Loads the weights. Raises ModelNotLoaded."""

    def warm_up(self) -> None:
        """Runs once, so that the first task is not delayed by lazy initialisation."""

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        """Computes a batch, or queues it on a GPU; calling the result reads the texts.

        One text for each segment. Results do not depend on what shares the batch.
        """

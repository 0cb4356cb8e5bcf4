"""The `whisper` engine: OpenAI's Whisper on CTranslate2, on batches of segments from many tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from asr_core.errors import EngineFailed
from asr_worker.audio.pcm import SAMPLE_RATE
from asr_worker.engines.base import Feature, PendingTexts, SegmentAudio, SegmentText
from asr_worker.engines.declaration import DeclaredEngine
from asr_worker.engines.funasr_models import ModelFolder, thread_count
from asr_worker.engines.stage_times import StageTimes
from asr_worker.engines.whisper.decoding import DecodedSegment, WhisperDecoder
from asr_worker.engines.whisper.devices import usable_device
from asr_worker.engines.whisper.features import LogMel, feature_shape
from asr_worker.engines.whisper.model_folder import (
    ARCHITECTURE,
    EXTRA,
    check_files,
    read_config,
    translates,
)
from asr_worker.engines.whisper.runtime import WhisperRuntime
from asr_worker.engines.whisper.unheard import unheard_stretches, with_stretch
from asr_worker.engines.whisper.vocabulary import Vocabulary
from asr_worker.engines.whisper.windows import FULL_SECONDS, window_seconds
from asr_worker.engines.whisper.word_times import Alignment, timed_words
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import Precision, WorkerSettings

BEAM_SIZE: Final = 5
_FEATURES: Final[frozenset[Feature]] = frozenset(
    {"language", "itn", "hotwords", "prompt", "timestamps"}
)


class WhisperEngine(DeclaredEngine):
    """One model on one device. One thread owns it."""

    name = "whisper"
    architectures = frozenset({ARCHITECTURE})
    auto_architectures = architectures
    precisions = frozenset({"float32", "float16", "int8", "int8_float32"})

    def __init__(
        self,
        folder: ModelFolder,
        device: str,
        cpu_threads: int | None = None,
        *,
        precision: Precision = "float32",
        beam_size: int = BEAM_SIZE,
    ) -> None:
        self.model_id = folder.model_id
        self.device = device
        self.supports = _FEATURES
        self.languages: frozenset[str] = frozenset()
        self.times = StageTimes(device)
        self._folder = folder
        self._threads = thread_count(cpu_threads)
        self._precision: Precision = precision
        self._beam_size = beam_size
        self._decoder: WhisperDecoder | None = None

    @classmethod
    def create(cls, folder: ModelFolder, device: str, settings: WorkerSettings) -> WhisperEngine:
        """An engine as configured, not loaded yet. Raises ModelNotLoaded."""
        if settings.segment_max_seconds > FULL_SECONDS:
            raise ModelNotLoaded(
                f"Whisper hears {FULL_SECONDS:g} s at a time: ASR_SEGMENT_MAX_SECONDS is "
                f"{settings.segment_max_seconds:g}"
            )
        device = usable_device(device, settings.use_gpu)
        return cls(
            folder, device, settings.cpu_threads, precision=cls.precision_on(device, settings)
        )

    @classmethod
    def precision_on(cls, device: str, settings: WorkerSettings) -> Precision:
        """float16 on a GPU where nothing is configured: the models are published in it."""
        if settings.precision == "auto" and device != "cpu":
            return "float16"
        return super().precision_on(device, settings)

    def computed_seconds(self, seconds: float) -> float:
        """The window of a segment."""
        return window_seconds(seconds)

    def load(self) -> None:
        """Loads the model and its tokenizer. Raises ModelNotLoaded."""
        path = self._folder.path
        check_files(path)
        try:
            runtime = WhisperRuntime(path, self.device, self._precision, self._threads)
            vocabulary = Vocabulary.read(path, is_multilingual=runtime.is_multilingual)
        except ModuleNotFoundError as error:
            raise ModelNotLoaded(f"engine whisper needs {error.name}: {EXTRA}") from error
        except Exception as error:  # tokenizers raises nothing narrower
            raise ModelNotLoaded(f"model {self.model_id!r} cannot be loaded: {error}") from error
        config = read_config(path / "config.json")
        log_mel = LogMel(feature_shape(path, runtime.mels))
        self._decoder = WhisperDecoder(
            runtime, vocabulary, log_mel, beam_size=self._beam_size, times=self.times
        )
        self._vocabulary = vocabulary
        self.languages = vocabulary.languages
        if translates(config, mels=runtime.mels, is_multilingual=runtime.is_multilingual):
            self.supports = _FEATURES | {"task"}

    def warm_up(self) -> None:
        """Runs every step once."""
        self._loaded().warm_up()

    def transcribe(self, batch: Sequence[SegmentAudio]) -> list[SegmentText]:
        """One text for each segment, in order."""
        return self.submit(batch)()

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        """Runs all on this thread."""
        if not batch:
            return list
        texts = self._heard(batch)
        stretches = [
            (index, start, end)
            for index, (segment, text) in enumerate(zip(batch, texts, strict=True))
            if segment.options.task == "transcribe"  # a translation has no times to go by
            for start, end in unheard_stretches(segment.pcm, text.words)
        ]
        more = [replace(batch[index], pcm=batch[index].pcm[a:b]) for index, a, b in stretches]
        for (index, start, _), text in zip(stretches, self._heard(more), strict=True):
            texts[index] = with_stretch(texts[index], text, start / SAMPLE_RATE)
        return lambda: texts

    def _heard(self, batch: Sequence[SegmentAudio]) -> list[SegmentText]:
        """What was decoded of each segment."""
        decoder = self._loaded()
        if not batch:
            return []
        decoded = decoder.decode(batch)
        with self.times.stage("model"):
            alignments = decoder.align(batch, decoded)
        with self.times.stage("text"):
            return [
                self._text(segment, found, alignments.get(index))
                for index, (segment, found) in enumerate(zip(batch, decoded, strict=True))
            ]

    def _loaded(self) -> WhisperDecoder:
        if self._decoder is None:
            raise EngineFailed("the engine was asked to transcribe before it was loaded")
        return self._decoder

    def _text(
        self, segment: SegmentAudio, decoded: DecodedSegment, alignment: Alignment | None
    ) -> SegmentText:
        found = decoded.hypothesis
        words = alignment and timed_words(
            found.tokens, self._vocabulary.decode, alignment, seconds=segment.seconds
        )
        return SegmentText(
            text=found.text,
            language=decoded.language if found.text else None,
            words=words or (),
            avg_logprob=found.avg_logprob,
            no_speech_prob=found.no_speech_prob,
            compression_ratio=found.compression_ratio,
            temperature=found.temperature,
        )

"""Any other model that FunASR loads, through `funasr.AutoModel`.

AutoModel is not thread-safe, takes one set of options per call and may drop items. This groups a
batch by options, passes arrays only (a string could be a URL or a list of files) and assigns every
result to its segment.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch

from asr_core.errors import EngineFailed
from asr_core.languages import language_code
from asr_worker.audio.pcm import SAMPLE_RATE
from asr_worker.engines.base import Feature, PendingTexts, SegmentAudio, SegmentText
from asr_worker.engines.declaration import DeclaredEngine
from asr_worker.engines.funasr_family import OWN_CODE, refusal_of
from asr_worker.engines.funasr_models import (
    SAFE_OPTIONS,
    ModelFolder,
    assert_device,
    find_model,
    not_loaded,
    quiet,
    thread_count,
)
from asr_worker.engines.model_code import no_model_code
from asr_worker.engines.registry import import_for
from asr_worker.engines.tags import parse_tags
from asr_worker.engines.words import timed_words
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

_RICH: Final[frozenset[Feature]] = frozenset({"language", "itn", "timestamps", "emotion", "events"})
# Options and outputs that architectures of FunASR's registry support; others only return text.
FEATURES: Final[dict[str, frozenset[Feature]]] = {
    "SenseVoiceSmall": _RICH,
    "Paraformer": frozenset({"timestamps"}),
    "BiCifParaformer": frozenset({"timestamps"}),
    "SeacoParaformer": frozenset({"timestamps", "hotwords"}),
    "ContextualParaformer": frozenset({"hotwords"}),
    "FunASRNano": frozenset({"language", "itn", "hotwords"}),
    "WhisperWarp": frozenset({"language"}),
    "Qwen3ASR": frozenset({"language", "hotwords"}),
}
# Of architectures that raise for any other. Source: `funasr.models.qwen3_asr.model`.
_QWEN3_LANGUAGES: Final = (
    "zh en yue ar de fr es pt id it ko ru th vi ja tr hi ms nl sv da fi pl cs fil fa el ro hu mk"
)
LANGUAGES: Final[dict[str, frozenset[str]]] = {"Qwen3ASR": frozenset(_QWEN3_LANGUAGES.split())}

_MEANS_MORE: Final = re.compile(r"[/\\.:<|>]")

Options = tuple[str, bool, tuple[str, ...]]


class AutoModelEngine(DeclaredEngine):
    """The `automodel` engine. One thread owns it."""

    name = "automodel"
    precisions = frozenset({"float32"})
    own_settings: ClassVar = {"punc_model": "punctuation"}

    def __init__(
        self,
        folder: ModelFolder,
        device: str,
        cpu_threads: int | None = None,
        *,
        punc_model: str = "",
        trusted: bool = False,
    ) -> None:
        """`punc_model` punctuates every text, as FunASR composes them. `trusted` models run Python
        from their folder.
        """
        self.model_id = folder.model_id
        self.device = device
        self.supports = FEATURES.get(folder.architecture, frozenset())
        self.languages = LANGUAGES.get(folder.architecture, frozenset())
        self._trusted = trusted
        self._folder = folder
        self._punc_model = punc_model
        self._threads = thread_count(cpu_threads)
        self._auto: Any = None
        self._takes_batches = True

    @classmethod
    def create(cls, folder: ModelFolder, device: str, settings: WorkerSettings) -> Self:
        """An engine as configured, not loaded yet. Raises ModelNotLoaded for a model of FunASR that
        recognises no files, or runs code that nobody allowed.
        """
        reason = refusal_of(folder.architecture, trusted=settings.trust_remote_code)
        if reason:
            raise ModelNotLoaded(f"model {folder.model_id!r} is not served: {reason}")
        return cls(
            folder,
            device,
            settings.cpu_threads,
            punc_model=settings.punc_model,
            trusted=settings.trust_remote_code and folder.architecture in OWN_CODE,
        )

    def load(self) -> None:
        """Builds the model from its folder. Raises ModelNotLoaded."""
        options = {**SAFE_OPTIONS, "device": self.device, "ncpu": self._threads, **self._source()}
        folders = [self._folder.path]
        if self._punc_model:
            folders.append(find_model(self._punc_model).path)
            options |= {"punc_model": str(folders[-1]), "punc_kwargs": dict(SAFE_OPTIONS)}
        with quiet():
            try:
                for folder in folders:
                    import_for(folder)
                from funasr import AutoModel

                with no_model_code(trusted=self._trusted):
                    auto = AutoModel(log_level="WARNING", **options)
            except Exception as error:
                raise not_loaded(self.model_id, self._folder.path, error) from error
        assert_device(auto.model, self.device)
        frontend = auto.kwargs.get("frontend")
        if hasattr(frontend, "dither"):
            # The same audio must give the same text twice.
            frontend.dither = 0.0
        self._auto = auto

    def _source(self) -> dict[str, Any]:
        """The folder as FunASR takes it: with a `config.yaml` by its path, else by its class."""
        path = str(self._folder.path)
        if (self._folder.path / "config.yaml").is_file():
            return {"model": path}
        source = {"model": self._folder.architecture, "model_path": path, "model_conf": {}}
        return {**source, "dtype": "fp32"} if self.device == "cpu" else source

    def warm_up(self) -> None:
        """One second of faint noise: some models return early on silence."""
        noise = np.random.default_rng(0).normal(0, 1e-3, SAMPLE_RATE).astype(np.float32)
        self.transcribe([SegmentAudio(noise)])

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        """Computes everything on this thread, since FunASR returns texts only."""
        texts = self.transcribe(batch)
        return lambda: texts

    def transcribe(self, batch: Sequence[SegmentAudio]) -> list[SegmentText]:
        """One text for each segment, in order; empty for a segment that the model dropped."""
        if self._auto is None:
            raise EngineFailed("the engine was asked to transcribe before it was loaded")
        groups: dict[Options, list[int]] = {}
        for index, segment in enumerate(batch):
            groups.setdefault(_options(segment), []).append(index)
        texts: dict[int, SegmentText] = {}
        for options, indices in groups.items():
            group_texts = self._group([batch[index].pcm for index in indices], options)
            texts.update(zip(indices, group_texts, strict=True))
        return [texts[index] for index in range(len(batch))]

    def _group(self, arrays: list[Any], options: Options) -> list[SegmentText]:
        if len(arrays) > 1 and self._takes_batches:
            try:
                results = self._generate(arrays, options)
            except (NotImplementedError, AssertionError) as error:
                # Models with a language model as decoder take one item at a time, and say so here.
                logging.getLogger(__name__).warning("no batches in this model: %s", error)
                self._takes_batches = False
            else:
                matched = _match(results, len(arrays))
                if matched is not None:
                    return [_segment_text(result) for result in matched]
        texts = []
        for array in arrays:
            results = self._generate([array], options)
            texts.append(_segment_text(results[0]) if results else SegmentText(""))
        return texts

    def _generate(self, arrays: list[Any], options: Options) -> list[dict[str, Any]]:
        language, use_itn, hotwords = options
        arguments: dict[str, Any] = {
            "language": "auto" if self.languages and language not in self.languages else language,
            "use_itn": use_itn,
            "output_timestamp": "timestamps" in self.supports,
            "batch_size": len(arrays),
            "key": [_key(index) for index in range(len(arrays))],
        }
        if hotwords and "hotwords" in self.supports:
            arguments["hotword"] = " ".join(hotwords)
            arguments["hotwords"] = list(hotwords)
            if self._folder.architecture == "Qwen3ASR":
                arguments["context"] = " ".join(hotwords)
        with quiet(), torch.inference_mode():
            results: list[dict[str, Any]] = self._auto.generate(arrays, **arguments)
        return results


def _options(segment: SegmentAudio) -> Options:
    return (
        segment.options.language,
        segment.options.itn,
        tuple(filter(None, map(_safe_hotword, segment.options.hotwords))),
    )


def _safe_hotword(word: str) -> str:
    """A hotword without characters that FunASR interprets: it opens `x.txt`, downloads `http…`, and
    takes `<|…|>` in a prompt as a control token, some with a file name or an expression.
    """
    return " ".join(_MEANS_MORE.sub(" ", word).split())


def _key(index: int) -> str:
    return f"segment-{index}"


def _match(results: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]] | None:
    """Results in the order of their segments, or None if FunASR's keys are ambiguous.

    Models drop items without text, and some repeat one key for all items.
    """
    by_key = {str(result.get("key")): result for result in results}
    keys = [_key(index) for index in range(count)]
    if len(by_key) == len(results) and set(by_key) <= set(keys):
        return [by_key.get(key, {}) for key in keys]
    return list(results) if len(results) == count else None


def _segment_text(result: dict[str, Any]) -> SegmentText:
    tagged = parse_tags(str(result.get("text", "")))
    return SegmentText(
        text=tagged.text,
        language=tagged.language or language_code(str(result.get("language") or "")),
        emotion=tagged.emotion,
        events=tagged.events,
        words=timed_words(tagged.text, result.get("words"), result.get("timestamp") or ()),
    )

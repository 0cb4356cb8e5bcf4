"""A worker program with a stand-in for a model that translates: all is real but the model.

It says which task and prompt each segment came with, and holds callers to the engine protocol. Of
the modules that need torch none is imported, so it starts in half a second.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace

import numpy as np

from asr_worker.engines.base import PendingTexts, SegmentAudio, SegmentText

SAID = {"transcribe": "Guten Morgen", "translate": "Good morning"}


class Translator:
    name = "whisper"
    model_id = "whisper-base"
    device = "cpu"
    supports = frozenset({"task", "prompt", "language"})
    languages = frozenset({"auto", "de", "en"})
    server = None

    def __init__(self) -> None:
        self._owner: int | None = None
        self._warm = False

    def computed_seconds(self, seconds: float) -> float:
        return seconds

    def load(self) -> None:
        assert self._owner is None, "loaded twice"
        self._owner = threading.get_ident()

    def warm_up(self) -> None:
        assert self._owner == threading.get_ident(), "another thread owns this engine"
        self._warm = True

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        assert self._warm, "not warm"
        assert self._owner == threading.get_ident(), "another thread owns this engine"
        assert batch, "an empty batch"
        texts = [self._text(segment) for segment in batch]

        def once() -> list[SegmentText]:
            assert texts, "read twice"
            told = list(texts)
            texts.clear()
            return told

        return once

    def _text(self, segment: SegmentAudio) -> SegmentText:
        assert segment.pcm.dtype == np.float32
        assert segment.pcm.ndim == 1
        prompt = segment.options.prompt
        said = SAID[segment.options.task]
        return SegmentText(f"{said} after {prompt!r}" if prompt else said, language="de")


def load_engine(_settings: object) -> Translator:
    engine = Translator()
    engine.load()
    engine.warm_up()
    return engine


choose = ModuleType("asr_worker.engines.choose")
choose.load_engine = load_engine  # type: ignore[attr-defined]
sys.modules["asr_worker.engines.choose"] = choose
torch = ModuleType("torch")
torch.cuda = SimpleNamespace(  # type: ignore[attr-defined]
    is_available=lambda: False, OutOfMemoryError=MemoryError
)
sys.modules["torch"] = torch

if __name__ == "__main__":
    from asr_worker.process.main import leave, main

    leave(main())

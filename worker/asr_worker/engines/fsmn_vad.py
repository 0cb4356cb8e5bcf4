"""FunASR's FSMN-VAD as a detector of speech, block by block with its state in a cache.

Source: Zhang et al., "Deep-FSMN for Large Vocabulary Continuous Speech Recognition",
https://arxiv.org/abs/1803.05030; `funasr.models.fsmn_vad_streaming`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch

from asr_core.voice.regions import Region
from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.audio.speech import BLOCK_SAMPLES
from asr_worker.engines.funasr_models import ModelFolder, build_model, quiet
from asr_worker.errors import ModelNotLoaded

ARCHITECTURE: Final = "FsmnVADStreaming"
# On FunASR's hub: iic/speech_fsmn_vad_zh-cn-16k-common-pytorch.
DEFAULT_MODEL: Final = "fsmn-vad"
_SAMPLES_PER_MS: Final = SAMPLE_RATE // 1000
_BLOCK_MS: Final = BLOCK_SAMPLES // _SAMPLES_PER_MS
# A window of its features has 25 ms.
_LEAST_SAMPLES: Final = SAMPLE_RATE // 10

_Events = list[list[int]]


class FsmnDetector:
    """One model on the CPU for all recordings of a process, one block at a time."""

    name = "fsmn"

    def __init__(self, folder: ModelFolder, threads: int) -> None:
        """Raises ModelNotLoaded."""
        if folder.architecture != ARCHITECTURE:
            raise ModelNotLoaded(
                f"voice activity model {folder.model_id!r} is {folder.architecture}; it must be "
                f"{ARCHITECTURE}, such as {DEFAULT_MODEL}"
            )
        self._model, parts = build_model(folder, "cpu", threads)
        self._frontend = parts["frontend"]
        self._turn = threading.Lock()

    def regions(self, blocks: Iterator[FloatArray]) -> list[Region]:
        """Regions of speech, with the margins that the model's own rules give them."""
        cache: dict[str, Any] = {}
        events: _Events = []
        samples = 0
        block = next(blocks, None)
        while block is not None:
            following = next(blocks, None)
            samples += len(block)
            events += self._events(block, cache, is_last=following is None)
            block = following
        return _regions(events, samples)

    def _events(self, block: FloatArray, cache: dict[str, Any], *, is_last: bool) -> _Events:
        """Milliseconds [start, end]; -1 for one that another block tells."""
        short = max(_LEAST_SAMPLES - len(block), 0)
        # FunASR cuts its input to chunks: a block is one, and the last one is shorter than one.
        chunk_ms = 2 * _BLOCK_MS if is_last else _BLOCK_MS
        with self._turn, quiet(), torch.inference_mode():
            results, _ = self._model.inference(
                [np.pad(block, (0, short))],
                key=["block"],
                frontend=self._frontend,
                cache=cache,
                is_final=is_last,
                is_streaming_input=True,
                chunk_size=chunk_ms,
                device="cpu",
            )
        events: _Events = results[0]["value"]
        return events


def _regions(events: _Events, samples: int) -> list[Region]:
    regions: list[Region] = []
    opened: int | None = None
    for start_ms, end_ms in events:
        if start_ms >= 0:
            opened = start_ms * _SAMPLES_PER_MS
        if end_ms >= 0 and opened is not None:
            regions.append(Region(min(opened, samples), min(end_ms * _SAMPLES_PER_MS, samples)))
            opened = None
    if opened is not None:
        regions.append(Region(min(opened, samples), samples))
    return [region for region in regions if region.end > region.start]

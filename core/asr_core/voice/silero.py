"""Silero's voice activity model on onnxruntime, without torch: samples in, probabilities out.

The "sequence" export gives the same probabilities as the one that takes a frame at a time, and
takes many frames per call, so that Python and its lock cost little. 1.2 MB, MIT licence.

Source: https://github.com/snakers4/silero-vad, `src/silero_vad/sequence_vad.py`, version 6.2.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from asr_core.voice.regions import FRAME_SAMPLES

FloatArray = npt.NDArray[np.float32]

MODEL: Final = Path(__file__).with_name("silero_vad_16k_sequence.onnx")
# Each frame is seen with the end of the one before it.
CONTEXT_SAMPLES: Final = 64
# 4 s per call: more is slower, since it leaves the caches.
FRAMES_PER_CALL: Final = 128
_STATE_SHAPE: Final = (1, 1, 128)


def missing() -> str | None:
    """Why the model cannot run here; None if it can."""
    if find_spec("onnxruntime") is None:
        return "onnxruntime is not installed: pip install 'asr-platform[vad]'"
    return None if MODEL.is_file() else f"its model is missing: {MODEL}"


@dataclass(frozen=True, eq=False)
class SileroState:
    """The model's memory after some sound: its LSTM, and the samples that are still needed, the
    context of the next frame and what has come of that frame.
    """

    hidden: FloatArray = field(default_factory=lambda: np.zeros(_STATE_SHAPE, np.float32))
    cell: FloatArray = field(default_factory=lambda: np.zeros(_STATE_SHAPE, np.float32))
    samples: FloatArray = field(default_factory=lambda: np.zeros(CONTEXT_SAMPLES, np.float32))


class SileroModel:
    """One session for any number of streams and threads: what a stream needs is in its state."""

    def __init__(self) -> None:
        """Loads the model. Raises ImportError where onnxruntime is missing."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # it warns of constants that its export has left
        self._session = onnxruntime.InferenceSession(
            str(MODEL), options, providers=["CPUExecutionProvider"]
        )

    def advance(self, samples: FloatArray, state: SileroState) -> tuple[FloatArray, SileroState]:
        """Probabilities (frames,) of the frames that `samples` complete, however many, and the
        state for what follows. Samples are mono float32 in [-1, 1] at 16 kHz.
        """
        joined = np.concatenate([state.samples, samples.astype(np.float32, copy=False)])
        frames = (len(joined) - CONTEXT_SAMPLES) // FRAME_SAMPLES
        probabilities = [np.empty(0, np.float32)]
        hidden, cell = state.hidden, state.cell
        for first in range(0, frames, FRAMES_PER_CALL):
            count = min(FRAMES_PER_CALL, frames - first)
            values, hidden, cell = self._session.run(
                ["speech_probs", "hn", "cn"],
                {"input": _with_context(joined, first, count), "h": hidden, "c": cell},
            )
            probabilities.append(values.reshape(-1))
        rest = joined[frames * FRAME_SAMPLES :].copy()
        return np.concatenate(probabilities), SileroState(hidden, cell, rest)

    def finish(self, state: SileroState) -> FloatArray:
        """The probability of the last frame, filled up with silence; none if it has no samples."""
        begun = len(state.samples) - CONTEXT_SAMPLES
        if not begun:
            return np.empty(0, np.float32)
        return self.advance(np.zeros(FRAME_SAMPLES - begun, np.float32), state)[0]

    def probabilities(self, blocks: Iterable[FloatArray]) -> Iterator[float]:
        """One probability for each 32 ms of a recording that comes in blocks of any size."""
        state = SileroState()
        for block in blocks:
            values, state = self.advance(block, state)
            yield from values.tolist()
        yield from self.finish(state).tolist()


def _with_context(samples: FloatArray, first: int, count: int) -> FloatArray:
    """Frames `first`.. of samples, each with its context before it: (count, 576)."""
    size = CONTEXT_SAMPLES + FRAME_SAMPLES
    begin = first * FRAME_SAMPLES
    part = samples[begin : begin + (count - 1) * FRAME_SAMPLES + size]
    windows = np.lib.stride_tricks.sliding_window_view(part, size)[::FRAME_SAMPLES]
    return np.ascontiguousarray(windows)

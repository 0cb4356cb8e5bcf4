"""Running out of memory: halves, the right order, and a smaller budget afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from asr_core.errors import EngineFailed
from asr_worker.engines.base import Feature, PendingTexts, SegmentAudio, SegmentText
from asr_worker.engines.memory import BatchBudget, padded_seconds, submit_within_memory


class SmallEngine:
    """Holds `fits` padded seconds and says each segment's length."""

    name = "small"
    model_id = "small"
    device = "cpu"
    supports: frozenset[Feature] = frozenset()
    languages: frozenset[str] = frozenset()

    def __init__(self, fits: float, error: type[BaseException]) -> None:
        self.fits = fits
        self.error = error
        self.attempts: list[float] = []

    def computed_seconds(self, seconds: float) -> float:
        return seconds

    def load(self) -> None: ...

    def warm_up(self) -> None: ...

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        self.attempts.append(padded_seconds(self, batch))
        if self.attempts[-1] > self.fits:
            raise self.error("out of memory")
        return lambda: [SegmentText(f"{segment.seconds:g}") for segment in batch]


def _batch(*seconds: float) -> list[SegmentAudio]:
    return [SegmentAudio(np.zeros(round(length * 16_000), np.float32)) for length in seconds]


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError, MemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_halved_and_no_text_is_lost(
    error: type[BaseException],
) -> None:
    engine = SmallEngine(10, error)
    lengths = (4.0, 1.0, 4.5, 2.0, 0.5, 3.0, 4.0)
    budget = BatchBudget(500)
    said = submit_within_memory(engine, _batch(*lengths), budget)()
    assert [part.text for part in said] == [f"{length:g}" for length in lengths]
    assert budget.seconds < 31.5


def test_the_smaller_budget_is_remembered() -> None:
    engine = SmallEngine(10, torch.cuda.OutOfMemoryError)
    budget = BatchBudget(500)
    submit_within_memory(engine, _batch(*[4.0] * 4), budget)
    assert budget.seconds == 8
    engine.attempts.clear()
    submit_within_memory(engine, _batch(*[4.0] * 4), budget)
    assert engine.attempts == [8, 8]


def test_a_single_segment_that_does_not_fit_is_an_engine_failure() -> None:
    engine = SmallEngine(1, torch.cuda.OutOfMemoryError)
    with pytest.raises(EngineFailed, match=r"2\.0 s does not fit"):
        submit_within_memory(engine, _batch(2.0), BatchBudget(500))


def test_other_errors_are_not_hidden() -> None:
    class Broken(SmallEngine):
        def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        submit_within_memory(Broken(1, MemoryError), _batch(1, 1), BatchBudget(500))

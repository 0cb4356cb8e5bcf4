"""Handles running out of memory: the batch is halved and run again, so that no task fails."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from asr_core.errors import EngineFailed
from asr_worker.engines.base import Engine, PendingTexts, SegmentAudio, SegmentText


class BatchBudget:
    """The padded audio-seconds known to fit in memory at once; it only ever shrinks."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def shrink(self, seconds: float) -> None:
        """Limits the budget to `seconds`."""
        self.seconds = min(self.seconds, seconds)


def submit_within_memory(
    engine: Engine, batch: Sequence[SegmentAudio], budget: BatchBudget
) -> PendingTexts:
    """Submits a batch, in parts if it does not fit; the texts come in the batch's order.

    Raises EngineFailed when a single segment does not fit.
    """
    if len(batch) > 1 and padded_seconds(engine, batch) > budget.seconds:
        return _in_halves(engine, batch, budget)
    try:
        return engine.submit(batch)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
    # Outside the handler: the exception's frames would hold the tensors that did not fit.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(batch) == 1:
        raise EngineFailed(f"a segment of {batch[0].seconds:.1f} s does not fit in memory")
    budget.shrink(padded_seconds(engine, batch) / 2)
    return _in_halves(engine, batch, budget)


def padded_seconds(engine: Engine, batch: Sequence[SegmentAudio]) -> float:
    """Seconds that the engine computes: every segment padded to the longest, or to its window."""
    return max(engine.computed_seconds(segment.seconds) for segment in batch) * len(batch)


def _in_halves(engine: Engine, batch: Sequence[SegmentAudio], budget: BatchBudget) -> PendingTexts:
    """Halves by length, so that the shorter half is padded to its own longest segment only."""
    order = sorted(range(len(batch)), key=lambda index: batch[index].seconds)
    middle = len(order) // 2
    halves = [order[:middle], order[middle:]]
    submitted = [
        submit_within_memory(engine, [batch[index] for index in half], budget) for half in halves
    ]

    def texts() -> list[SegmentText]:
        ordered: dict[int, SegmentText] = {}
        for half, read in zip(halves, submitted, strict=True):
            ordered.update(zip(half, read(), strict=True))
        return [ordered[index] for index in range(len(batch))]

    return texts


def _out_of_memory(error: BaseException) -> bool:
    """torch's allocator on CPU raises a plain RuntimeError, as CTranslate2 does for CUDA's."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        "can't allocate memory" in str(error) or "out of memory" in str(error)
    )

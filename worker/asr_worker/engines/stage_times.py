"""Seconds that an engine has spent in each stage since it was loaded."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class StageTimes:
    """Stages are `features`, `model` and `text`.

    A GPU computes asynchronously, so its time counts in the stage that waits for it, at the latest
    in `text`. With `is_exact` every stage is synchronised, at the cost of the overlap.
    """

    def __init__(self, device: str) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.is_exact = False
        self._device = device

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        if self.is_exact and self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
        self.seconds[name] += time.perf_counter() - started

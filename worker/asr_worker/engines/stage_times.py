"""Where an engine's time goes: seconds by stage, since it was loaded."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class StageTimes:
    """Stages are `features`, `model` and `text`.

    A GPU works on its own: what is not waited for counts where somebody waits for it, in the end in
    `text`. With `is_exact` each stage is waited for, which costs what the overlap gains.
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

"""How long recordings are, as people make them. Pure."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Lengths:
    """Log-normal, which is what lengths of speech look like: many short ones and a long tail."""

    median_seconds: float
    sigma: float
    least_seconds: float
    most_seconds: float

    def draw(self, count: int, seed: int) -> list[float]:
        """So many lengths in seconds, the same ones for the same seed."""
        chance, middle = random.Random(seed), math.log(self.median_seconds)
        drawn = (chance.lognormvariate(middle, self.sigma) for _ in range(count))
        return [min(self.most_seconds, max(self.least_seconds, each)) for each in drawn]


KINDS: Final = {
    "messages": Lengths(6.0, 0.6, 2.0, 30.0),
    "calls": Lengths(150.0, 0.8, 10.0, 1800.0),
    "meetings": Lengths(1800.0, 0.5, 300.0, 7200.0),
}


def drawn(wanted: str, count: int, seed: int) -> list[float]:
    """Of a kind, or all of one length in seconds. Raises ValueError that names the kinds."""
    if wanted in KINDS:
        return KINDS[wanted].draw(count, seed)
    try:
        seconds = float(wanted)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 36_000:
        raise ValueError(
            f"lengths are {', '.join(KINDS)}, or seconds from 0.1 to 36000: {wanted!r}"
        )
    return [seconds] * count

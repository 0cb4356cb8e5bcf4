"""CPU budget of decoding a recording.

A few kilobytes may hold hours of silence at any rate, or millions of packets without a sample, so
the cost is only known while the file is decoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from asr_core.errors import TooExpensive

# Opening a file, finding its tracks and reading its index brings no sound yet.
OPENING_CPU_SECONDS: Final = 10.0


@dataclass(frozen=True)
class CostLimits:
    """`ratio` is CPU seconds per second of audio, `seconds` the maximum for one recording.

    Stereo Opus takes 0.006 of a core, 16 channels of 24 bits at 192 kHz, split, 0.025.
    """

    ratio: float = 0.2
    seconds: float = 1800.0

    def allowed_seconds(self, sound_seconds: float) -> float:
        """CPU seconds allowed for so many seconds of audio."""
        return min(self.seconds, OPENING_CPU_SECONDS + self.ratio * sound_seconds)

    def error(self, sound_seconds: float) -> TooExpensive:
        """The error that the caller gets."""
        allowed = self.allowed_seconds(sound_seconds)
        return TooExpensive(
            f"decoding took more than the {allowed:.3g} s of processor time that are allowed"
            f" for {sound_seconds:.0f} s of sound"
        )


class Cost:
    """CPU time of this process from now on. `on_allowed` gets the budget in seconds each time it
    grows.
    """

    def __init__(
        self,
        limits: CostLimits,
        *,
        on_allowed: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._limits = limits
        self._on_allowed = on_allowed
        self._clock = clock
        self._began = clock()
        self._allowed = limits.allowed_seconds(0.0)
        self._on_allowed(self._allowed)

    def check(self, sound_seconds: float) -> None:
        """Raises TooExpensive. Takes a microsecond, since it is called for every packet."""
        if self._clock() - self._began <= self._allowed:
            return
        allowed = self._limits.allowed_seconds(sound_seconds)
        if allowed <= self._allowed:
            raise self._limits.error(sound_seconds)
        self._allowed = allowed
        self._on_allowed(allowed)
        self.check(sound_seconds)

"""Places each frame by the container's timestamps rather than by the samples before it.

Pure: times in, seconds of silence out. A muted participant or lost packets leave gaps in a track;
unless they are filled with silence, every word after a gap gets too early a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# Rounding to milliseconds and encoder delay stay below this; shorter gaps accumulate up to it.
JITTER_SECONDS: Final = 0.05
# A longer jump is accepted only if the next frame does not contradict it.
JUMP_SECONDS: Final = 1.0


class SoundClock:
    """`position_seconds` is the end of the output so far, silence included; second 0 has the
    container time `origin_seconds`.
    """

    def __init__(self, origin_seconds: float = 0.0) -> None:
        self.position_seconds = 0.0
        self._origin_seconds = origin_seconds
        self._last_seconds = float("-inf")

    def gap(self, time_seconds: float | None, peek: Callable[[], float | None]) -> float:
        """Seconds of silence before a frame with the container time `time_seconds`.

        `peek` gives the time of the next frame, to confirm a jump. Short gaps accumulate until they
        reach `JITTER_SECONDS`. Timestamps that step back, as between concatenated recordings,
        continue at the current position; samples are never dropped.
        """
        if time_seconds is None:
            return 0.0
        gap = time_seconds - self._origin_seconds - self.position_seconds
        is_back = time_seconds < self._last_seconds
        if (is_back or gap > JUMP_SECONDS) and self._is_slip(time_seconds, peek()):
            return 0.0
        self._last_seconds = time_seconds
        if is_back:
            self._origin_seconds = time_seconds - self.position_seconds
            return 0.0
        return gap if gap > JITTER_SECONDS else 0.0

    def advance(self, seconds: float) -> None:
        """Records so many seconds of output, samples or silence."""
        self.position_seconds += seconds

    def _is_slip(self, time_seconds: float, next_seconds: float | None) -> bool:
        """Whether a single timestamp is wrong: the next frame continues the previous times."""
        if next_seconds is None:
            return False
        if time_seconds < self._last_seconds:
            return next_seconds >= self._last_seconds
        return next_seconds < time_seconds

"""Where each frame of a recording belongs in time: its container's clock, not the sound before it.

Pure: times in, seconds of silence out. A muted participant, or packets that never arrived, leave
holes in a track; without silence in them every word after a hole comes too early.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# Stamps in whole milliseconds, and what encoders add in front, stay below this; holes add up to it.
JITTER_SECONDS: Final = 0.05
# A jump as long as this is believed only if the next frame does not contradict it.
JUMP_SECONDS: Final = 1.0


class SoundClock:
    """`position_seconds` is the end of the sound so far, silence included, from second 0, at which
    the container's clock showed `origin_seconds`.
    """

    def __init__(self, origin_seconds: float = 0.0) -> None:
        self.position_seconds = 0.0
        self._origin_seconds = origin_seconds
        self._last_seconds = float("-inf")

    def gap(self, time_seconds: float | None, peek: Callable[[], float | None]) -> float:
        """Seconds of silence before a frame that the container shows at `time_seconds`.

        `peek` gives the time of the frame after it, for a jump to be believed. Short holes are
        counted until they are worth a silence. A clock that is set back, as between recordings that
        were joined, goes on from where the sound is; sound is never dropped.
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
        """So much sound, or silence, was made."""
        self.position_seconds += seconds

    def _is_slip(self, time_seconds: float, next_seconds: float | None) -> bool:
        """A single stamp that is wrong: the frame after it belongs to the clock as it was."""
        if next_seconds is None:
            return False
        if time_seconds < self._last_seconds:
            return next_seconds >= self._last_seconds
        return next_seconds < time_seconds

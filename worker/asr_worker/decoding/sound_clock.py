"""Where each frame of a recording belongs in time: its container's clock, not the sound before it.

Pure: times in, seconds of silence out. A muted participant, or packets that never arrived, leave
holes in a track; without silence in them every word after a hole comes too early.
"""

from __future__ import annotations

from typing import Final

# Stamps in whole milliseconds, and what encoders add in front, stay below this; holes add up to it.
JITTER_SECONDS: Final = 0.05
# A jump as long as this is believed only if the next frame does not contradict it.
JUMP_SECONDS: Final = 1.0


class SoundClock:
    """`position_seconds` is the end of the sound so far, silence included, from the track's origin.

    `origin_seconds` is what the container's clock showed at second 0; None: what the first frame
    shows, so that a clock that merely starts late delays nothing.
    """

    def __init__(self, origin_seconds: float | None = None) -> None:
        self.position_seconds = 0.0
        self._origin_seconds = origin_seconds
        self._last_seconds = float("-inf")

    def jumps(self, time_seconds: float | None) -> bool:
        """Whether `gap` wants to know the frame after this one."""
        if time_seconds is None or self._origin_seconds is None:
            return False
        return time_seconds < self._last_seconds or self._gap(time_seconds) > JUMP_SECONDS

    def gap(self, time_seconds: float | None, next_seconds: float | None = None) -> float:
        """Seconds of silence before a frame that the container shows at `time_seconds`.

        `next_seconds` is the time of the frame after it, where `jumps` asked for it. Short holes
        are counted until they are worth a silence. A clock that is set back, as between recordings
        that were joined, goes on from where the sound is; sound is never dropped.
        """
        if time_seconds is None:
            return 0.0
        if self._origin_seconds is None:
            self._origin_seconds = time_seconds
        if self._is_slip(time_seconds, next_seconds):
            return 0.0
        if time_seconds < self._last_seconds:
            self._origin_seconds = time_seconds - self.position_seconds
        self._last_seconds = time_seconds
        gap = self._gap(time_seconds)
        return gap if gap > JITTER_SECONDS else 0.0

    def advance(self, seconds: float) -> None:
        """So much sound, or silence, was made."""
        self.position_seconds += seconds

    def _gap(self, time_seconds: float) -> float:
        return time_seconds - (self._origin_seconds or 0.0) - self.position_seconds

    def _is_slip(self, time_seconds: float, next_seconds: float | None) -> bool:
        """A single stamp that is wrong: the frame after it belongs to the clock as it was."""
        if next_seconds is None:
            return False
        if time_seconds < self._last_seconds:
            return next_seconds >= self._last_seconds
        return next_seconds < time_seconds

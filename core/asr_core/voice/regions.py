"""From probabilities of speech to regions of speech. Pure; its state is explicit.

A region begins where the probability reaches one threshold and ends where it stays below a lower
one; both, and the pause that ends a region, are those of Silero's
`get_speech_timestamps_from_probs`. Whole recordings and live streams take the same path: `follow`
with the state that it returned before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

SAMPLE_RATE: Final = 16_000
# One probability stands for so many samples: 32 ms.
FRAME_SAMPLES: Final = 512


class Region(NamedTuple):
    """Samples `start`..`end` (exclusive) at 16 kHz."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / SAMPLE_RATE


@dataclass(frozen=True)
class SpeechRules:
    """When a region begins and ends, and whether it is speech.

    A pause shorter than `min_pause_seconds` does not end one; one shorter than `min_speech_seconds`
    is a click or a beep. Music and machines raise the probability, too, but seldom for long and
    never far: one that is shorter than `sure_seconds` must have `mean_probability`. On hours of
    synthetic music and noise such regions rarely had it, words of 0.25 s on their own 0.76 in nine
    of ten.
    """

    start_probability: float = 0.5
    end_probability: float = 0.35
    min_speech_seconds: float = 0.15
    min_pause_seconds: float = 0.1
    mean_probability: float = 0.72
    sure_seconds: float = 1.5


@dataclass(frozen=True)
class Following:
    """What `follow` knows so far, in frames: how many it has seen, where the open region began and
    since when it is quiet in it; the sums of the probabilities of its frames and of the quiet ones.
    """

    frames: int = 0
    opened: int | None = None
    quiet: int | None = None
    total: float = 0.0
    quiet_total: float = 0.0

    @property
    def is_speech(self) -> bool:
        """Whether a region is open: somebody speaks, or has just stopped."""
        return self.opened is not None


_START: Final = Following()
_RULES: Final = SpeechRules()


def follow(
    probabilities: Iterable[float], state: Following = _START, rules: SpeechRules = _RULES
) -> tuple[list[Region], Following]:
    """The regions that end in the next frames, and the state for the frames after them."""
    pause_frames = _frames(rules.min_pause_seconds)
    at, opened, quiet = state.frames, state.opened, state.quiet
    total, quiet_total = state.total, state.quiet_total
    closed: list[Region] = []
    for probability in probabilities:
        if probability >= rules.start_probability:
            opened, quiet = at if opened is None else opened, None
        elif opened is not None and probability < rules.end_probability:
            quiet = at if quiet is None else quiet
        if opened is not None:
            total += probability
            quiet_total = 0.0 if quiet is None else quiet_total + probability
            if quiet is not None and at + 1 - quiet >= pause_frames:
                closed += _region(opened, quiet, total - quiet_total, rules)
                opened, quiet, total, quiet_total = None, None, 0.0, 0.0
        at += 1
    return closed, Following(at, opened, quiet, total, quiet_total)


def finish(state: Following, rules: SpeechRules = _RULES) -> list[Region]:
    """The region that is open at the end of the sound, if there is one."""
    if state.opened is None:
        return []
    end = state.frames if state.quiet is None else state.quiet
    return _region(state.opened, end, state.total - state.quiet_total, rules)


def regions_of(probabilities: Iterable[float], rules: SpeechRules = _RULES) -> list[Region]:
    """The regions of a whole recording, in order and apart from each other."""
    closed, state = follow(probabilities, _START, rules)
    return closed + finish(state, rules)


def padded(
    regions: Sequence[Region], seconds: float, within: Region, *, min_gap_seconds: float = 0.0
) -> list[Region]:
    """Ordered regions with so much of `within` around each; those that then touch, or have less
    than `min_gap_seconds` between them, or between them and the ends of `within`, become one.
    """
    pad, least = round(seconds * SAMPLE_RATE), round(min_gap_seconds * SAMPLE_RATE)
    joined: list[Region] = []
    for region in regions:
        start, end = max(region.start - pad, within.start), min(region.end + pad, within.end)
        if start - within.start < least:
            start = within.start
        if within.end - end < least:
            end = within.end
        if joined and (start <= joined[-1].end or start - joined[-1].end < least):
            joined[-1] = joined[-1]._replace(end=max(end, joined[-1].end))
        elif end > start:
            joined.append(Region(start, end))
    return joined


def union_seconds(regions: Iterable[Region]) -> float:
    """Seconds that lie in any of the regions, whatever their order and overlap."""
    samples, reached = 0, 0
    for start, end in sorted(regions):
        samples += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return samples / SAMPLE_RATE


def _region(first: int, end: int, total: float, rules: SpeechRules) -> list[Region]:
    frames = end - first
    if frames < _frames(rules.min_speech_seconds):
        return []
    if frames < _frames(rules.sure_seconds) and total / frames < rules.mean_probability:
        return []
    return [Region(first * FRAME_SAMPLES, end * FRAME_SAMPLES)]


def _frames(seconds: float) -> int:
    return math.ceil(seconds * SAMPLE_RATE / FRAME_SAMPLES)

"""Plans batches: segments of similar length within a budget, without starvation.

Pure: pending segments in, batches out. Waiting times are given, not measured here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from asr_core.task import Lane

LANE_RANKS: Final = {lane: rank for rank, lane in enumerate(Lane)}


@dataclass(frozen=True)
class PendingSegment:
    """One segment of a claimed task; `key` is unique, `arrival` counts up.

    `computed_seconds` are what the engine computes for it alone, unset: its own `seconds`.
    """

    key: str
    task_id: str
    seconds: float
    arrival: int
    lane: Lane = Lane.NORMAL
    solo: bool = False
    waiting_seconds: float = 0.0
    computed_seconds: float = 0.0

    @property
    def cost(self) -> float:
        """Seconds of audio that the engine computes for it at least."""
        return max(self.computed_seconds, self.seconds)


@dataclass(frozen=True)
class BatchRules:
    """`seconds` is the budget of padded audio; a segment that costs more runs alone.

    A batch takes no segment that would make more than `max_padding_share` of it padding. A segment
    that waited `overdue_seconds` comes before every lane.
    """

    seconds: float = 500.0
    max_segments: int = 512
    max_padding_share: float = 0.25
    overdue_seconds: float = 30.0

    def fills(self, *, segments: int, seconds: float) -> bool:
        """Whether so much audio in so many segments is enough for a full batch."""
        return seconds >= self.seconds or segments >= self.max_segments


@dataclass(frozen=True)
class Batch:
    """Segments that run together, longest first."""

    segments: tuple[PendingSegment, ...]

    @property
    def audio_seconds(self) -> float:
        return sum(segment.seconds for segment in self.segments)

    @property
    def padded_seconds(self) -> float:
        """What the engine computes: every segment as long as the longest, or as its window."""
        return max(segment.cost for segment in self.segments) * len(self.segments)

    @property
    def padding_share(self) -> float:
        """Share of the padded seconds that is padding, 0 to 1."""
        padded = self.padded_seconds
        return max(1 - self.audio_seconds / padded, 0.0) if padded > 0 else 0.0


def plan_batch(pending: Iterable[PendingSegment], rules: BatchRules) -> Batch | None:
    """The next batch: the most urgent segment, and those of similar length that fit beside it.

    Interactive segments share a batch only with each other, so that they do not wait for a full
    batch of other work; segments of a solo task share one with that task only.
    """
    waiting = list(pending)
    if not waiting:
        return None
    head = min(waiting, key=lambda segment: _urgency(segment, rules))
    mates = sorted(
        (segment for segment in waiting if segment is not head and _may_share(head, segment)),
        key=lambda segment: (segment.cost, -segment.arrival),
    )
    chosen = _grow(head, mates, rules)
    return Batch(
        tuple(
            sorted(chosen, key=lambda segment: (-segment.cost, -segment.seconds, segment.arrival))
        )
    )


def plan_batches(pending: Iterable[PendingSegment], rules: BatchRules) -> list[Batch]:
    """All batches in the order in which they should run."""
    waiting = {segment.key: segment for segment in pending}
    batches: list[Batch] = []
    while (batch := plan_batch(waiting.values(), rules)) is not None:
        batches.append(batch)
        for segment in batch.segments:
            del waiting[segment.key]
    return batches


def _urgency(segment: PendingSegment, rules: BatchRules) -> tuple[int, int]:
    overdue = segment.waiting_seconds >= rules.overdue_seconds
    return (-1 if overdue else LANE_RANKS[segment.lane], segment.arrival)


def _may_share(head: PendingSegment, other: PendingSegment) -> bool:
    if head.solo or other.solo:
        return head.task_id == other.task_id
    return (head.lane is Lane.INTERACTIVE) == (other.lane is Lane.INTERACTIVE)


def _grow(
    head: PendingSegment, mates: list[PendingSegment], rules: BatchRules
) -> list[PendingSegment]:
    """Widen a window of lengths around the head, always to the nearer side that still fits.

    `mates` is sorted by length, younger before older among equals on the shorter side; a side
    that no longer fits stays closed, as everything beyond it fits worse.
    """
    chosen, longest, total = [head], head.cost, head.cost
    above = next((i for i, mate in enumerate(mates) if mate.cost > head.cost), len(mates))
    below = above - 1
    while len(chosen) < rules.max_segments:
        sides = []
        if below >= 0:
            sides.append((head.cost - mates[below].cost, False))
        if above < len(mates):
            sides.append((mates[above].cost - head.cost, True))
        if not sides:
            break
        upwards = min(sides)[1]
        mate = mates[above] if upwards else mates[below]
        padded = max(longest, mate.cost) * (len(chosen) + 1)
        share = 1 - (total + mate.cost) / padded if padded else 0.0
        if padded > rules.seconds or share > rules.max_padding_share:
            if upwards:
                above = len(mates)
            else:
                below = -1
            continue
        chosen.append(mate)
        longest, total = max(longest, mate.cost), total + mate.cost
        above, below = (above + 1, below) if upwards else (above, below - 1)
    return chosen

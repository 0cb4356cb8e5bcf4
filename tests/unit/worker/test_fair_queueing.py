"""Whose segment is next, by tags alone."""

from __future__ import annotations

from collections import Counter

from asr_core.task import Lane
from asr_worker.inference.fair_queueing import FairOrder


def served(order: FairOrder, count: int, **seconds: list[float]) -> Counter[Lane]:
    """How many segments of each lane are among the first so many."""
    tags = [(tag, lane) for lane in Lane for tag in order.tags(lane, seconds[lane.value])]
    return Counter(lane for _, lane in sorted(tags, key=lambda each: each[0])[:count])


def test_lanes_under_load_share_the_engine_by_their_weights() -> None:
    """Of 73 seconds an interactive task gets 64, a normal one 8, one that nobody waits for 1."""
    second = [1.0] * 5000
    shares = served(FairOrder(), 730, interactive=second, normal=second, batch=second)
    assert shares == {Lane.INTERACTIVE: 640, Lane.NORMAL: 80, Lane.BATCH: 10}


def test_it_is_seconds_that_are_shared_not_segments() -> None:
    order = FairOrder()
    long, short = order.tags(Lane.BATCH, [30.0] * 10), order.tags(Lane.BATCH, [10.0] * 30)
    assert long == [30.0 * n for n in range(10)]
    assert short == [10.0 * n for n in range(30)]


def test_a_task_that_comes_later_begins_where_the_others_are() -> None:
    order = FairOrder()
    first = order.tags(Lane.NORMAL, [8.0] * 100)
    for tag in first[:51]:
        order.served(tag)
    assert order.tags(Lane.NORMAL, [8.0, 8.0]) == [50.0, 51.0]
    order.served(3.0)
    assert order.tags(Lane.NORMAL, [8.0]) == [50.0], "time does not run backwards"

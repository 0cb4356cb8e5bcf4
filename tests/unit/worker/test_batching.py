"""Planning batches: everyone runs once, within the budget, and in fair order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_core.task import Lane
from asr_worker.inference.batch_plan import (
    Batch,
    BatchRules,
    PendingSegment,
    plan_batch,
    plan_batches,
)

RULES = BatchRules()


def _segment(number: int, seconds: float = 10.0, **fields: object) -> PendingSegment:
    base = PendingSegment(key=f"s{number}", task_id=f"t{number}", seconds=seconds, arrival=number)
    return replace(base, **fields)  # type: ignore[arg-type]


@st.composite
def pending(draw: st.DrawFn) -> list[PendingSegment]:
    count = draw(st.integers(0, 60))
    solo_tasks = draw(st.sets(st.integers(0, 9)))
    lanes = draw(st.lists(st.sampled_from(Lane), min_size=10, max_size=10))
    segments = []
    for number in range(count):
        task = draw(st.integers(0, 9))
        segments.append(
            PendingSegment(
                key=str(number),
                task_id=str(task),
                seconds=draw(st.floats(0.02, 40.0)),
                arrival=number,
                lane=lanes[task],
                solo=task in solo_tasks,
                waiting_seconds=draw(st.sampled_from([0.0, 5.0, 100.0])),
            )
        )
    return draw(st.permutations(segments))


def test_nothing_pending_is_no_batch() -> None:
    assert plan_batch([], RULES) is None
    assert plan_batches([], RULES) == []


@given(segments=pending(), budget=st.floats(1.0, 300.0), most=st.integers(1, 20))
def test_every_segment_runs_exactly_once_within_the_budget(
    segments: list[PendingSegment], budget: float, most: int
) -> None:
    batches = plan_batches(segments, BatchRules(seconds=budget, max_segments=most))
    keys = [segment.key for batch in batches for segment in batch.segments]
    assert sorted(keys) == sorted(segment.key for segment in segments)
    for batch in batches:
        assert len(batch.segments) <= most
        assert len(batch.segments) == 1 or batch.padded_seconds <= budget
        assert batch.padding_share <= RULES.max_padding_share + 1e-9


@given(segments=pending())
def test_the_most_urgent_segment_is_always_in_the_next_batch(
    segments: list[PendingSegment],
) -> None:
    batch = plan_batch(segments, RULES)
    if batch is None:
        return
    order = list(Lane)
    head = min(
        segments,
        key=lambda part: (
            -1 if part.waiting_seconds >= 30 else order.index(part.lane),
            part.arrival,
        ),
    )
    assert head in batch.segments


@given(segments=pending())
def test_a_solo_task_shares_its_batch_with_nobody(segments: list[PendingSegment]) -> None:
    for batch in plan_batches(segments, RULES):
        if any(segment.solo for segment in batch.segments):
            assert len({segment.task_id for segment in batch.segments}) == 1


def test_segments_of_many_tasks_share_a_batch() -> None:
    batch = plan_batch([_segment(number) for number in range(40)], RULES)
    assert batch is not None
    assert len(batch.segments) == 40
    assert batch.padded_seconds == 400
    assert batch.padding_share == 0


def test_lengths_that_differ_much_go_to_different_batches() -> None:
    lengths = [1.0, 30.0] * 5
    batches = plan_batches([_segment(n, seconds) for n, seconds in enumerate(lengths)], RULES)
    assert [{segment.seconds for segment in batch.segments} for batch in batches] == [{1.0}, {30.0}]
    assert [batch.padding_share for batch in batches] == [0, 0]


def test_an_interactive_segment_goes_first_and_waits_for_no_other_work() -> None:
    segments = [_segment(number) for number in range(30)]
    late = _segment(99, lane=Lane.INTERACTIVE)
    first, second = plan_batches([*segments, late], RULES)
    assert first.segments == (late,)
    assert len(second.segments) == 30


def test_an_overdue_segment_comes_before_the_interactive_lane() -> None:
    overdue = _segment(5, lane=Lane.BATCH, waiting_seconds=31.0)
    batch = plan_batch([_segment(1, lane=Lane.INTERACTIVE), overdue], RULES)
    assert batch is not None
    assert batch.segments == (overdue,)


def sizes(segments: list[PendingSegment], rules: BatchRules = RULES) -> list[int]:
    return [len(batch.segments) for batch in plan_batches(segments, rules)]


def test_a_batch_has_500_padded_seconds_or_512_segments_at_most() -> None:
    assert sizes([_segment(n, 10.0) for n in range(51)]) == [50, 1]
    assert sizes([_segment(n, 0.1) for n in range(513)]) == [512, 1]


def test_at_most_a_quarter_of_a_batch_is_padding() -> None:
    assert sizes([_segment(0, 10.0), _segment(1, 5.0)]) == [2]
    assert sizes([_segment(0, 10.0), _segment(1, 4.9)]) == [1, 1]
    assert sizes([_segment(0, 5.0), _segment(1, 10.0), _segment(2, 5.1)]) == [2, 1]


def test_a_batch_tells_how_much_of_it_is_padding() -> None:
    batch = plan_batch([_segment(0, 6.0), _segment(1, 10.0), _segment(2, 8.0)], RULES)
    assert batch is not None
    assert [segment.seconds for segment in batch.segments] == [10.0, 8.0, 6.0]
    assert (batch.audio_seconds, batch.padded_seconds) == (24.0, 30.0)
    assert batch.padding_share == pytest.approx(0.2)
    assert Batch((_segment(0, 0.0),)).padding_share == 0.0


def test_the_nearer_lengths_are_taken_first_on_either_side() -> None:
    around = [_segment(0, 10.0), _segment(1, 7.0), _segment(2, 12.0), _segment(3, 9.5)]
    rules = BatchRules(max_segments=2)
    assert [s.seconds for s in plan_batches(around, rules)[0].segments] == [10.0, 9.5]
    rules = BatchRules(max_segments=3)
    assert [s.seconds for s in plan_batches(around, rules)[0].segments] == [12.0, 10.0, 9.5]


def test_a_side_that_does_not_fit_leaves_room_to_the_other() -> None:
    """A longer one would make the batch too large, shorter ones do not."""
    segments = [_segment(0, 10.0), _segment(1, 10.2), _segment(2, 9.0), _segment(3, 8.0)]
    batch = plan_batch(segments, BatchRules(seconds=30.5))
    assert batch is not None
    assert [segment.arrival for segment in batch.segments] == [1, 0]
    batch = plan_batch(segments, BatchRules(seconds=20.3))
    assert batch is not None
    assert [segment.arrival for segment in batch.segments] == [0, 2]


def test_lanes_come_in_their_order_and_what_is_overdue_before_them() -> None:
    lanes = [Lane.BATCH, Lane.NORMAL, Lane.INTERACTIVE]
    segments = [_segment(n, float(10 * n + 1), lane=lane) for n, lane in enumerate(lanes)]
    order = [batch.segments[0].lane for batch in plan_batches(segments, RULES)]
    assert order == lanes[::-1]
    for waited, first in ((30.0, Lane.BATCH), (29.9, Lane.INTERACTIVE)):
        overdue = [replace(segments[0], waiting_seconds=waited), *segments[1:]]
        assert plan_batches(overdue, RULES)[0].segments[0].lane is first


def test_a_segment_longer_than_the_budget_runs_alone() -> None:
    batches = plan_batches([_segment(0, 30.0), _segment(1, 30.0)], BatchRules(seconds=20))
    assert [len(batch.segments) for batch in batches] == [1, 1]


def test_of_equals_the_oldest_share_the_batch_with_the_oldest() -> None:
    segments = [_segment(number, 10.0) for number in range(10)]
    batch = plan_batch(reversed(segments), BatchRules(seconds=30))
    assert batch is not None
    assert [segment.arrival for segment in batch.segments] == [0, 1, 2]


def test_batches_hold_what_the_engine_computes_and_not_what_is_heard() -> None:
    """Two seconds in a window of twelve cost twelve."""
    waiting = [_segment(n, 2.0, computed_seconds=12.0) for n in range(12)]
    batches = plan_batches(waiting, BatchRules(seconds=60.0))
    assert [len(batch.segments) for batch in batches] == [5, 5, 2]
    assert (batches[0].audio_seconds, batches[0].padded_seconds) == (10.0, 60.0)


def test_segments_of_one_window_come_together_whatever_their_length() -> None:
    lengths = (2.0, 14.0, 10.0, 13.0)
    windows = (12.0, 16.0, 12.0, 16.0)
    waiting = [
        _segment(n, length, computed_seconds=window)
        for n, (length, window) in enumerate(zip(lengths, windows, strict=True))
    ]
    batches = plan_batches(waiting, BatchRules(seconds=32.0))
    assert [{s.computed_seconds for s in batch.segments} for batch in batches] == [{12.0}, {16.0}]

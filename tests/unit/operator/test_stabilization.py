"""How long a change must have been wanted before it is made."""

from __future__ import annotations

import pytest

from asr_operator.planning.observation import Desire, History
from asr_operator.planning.spec import Scaling
from asr_operator.planning.stabilization import (
    down_seconds,
    record_desire,
    reset_window,
    stabilized,
)


def after(*wanted: tuple[float, int], up: float = 30.0, down: float = 60.0) -> History:
    history = History()
    for at, replicas in wanted:
        history = record_desire(history, at, replicas, up=up, down=down)
    return history


def may_become(history: History, now: float, replicas: int, *, most: int = 99) -> int:
    return stabilized(
        history, now, replicas, up=30.0, down=60.0, within=lambda n: max(1, min(n, most))
    )


@pytest.mark.parametrize(
    ("startup", "target", "seconds"),
    [
        (60.0, 60.0, 30.0),
        (60.0, 120.0, 7.5),
        (90.0, 60.0, 45.0),
        (20.0, 60.0, 5.0),
        (3600.0, 60.0, 300.0),
    ],
)
def test_a_missed_worker_costs_half_a_start_and_less_where_that_is_short_beside_the_target(
    startup: float, target: float, seconds: float
) -> None:
    assert down_seconds(Scaling(target_wait_seconds=target), startup) == seconds


def test_a_setting_of_no_seconds_is_a_setting() -> None:
    scaling = Scaling.model_validate({"stabilizationSeconds": {"down": 0}})
    assert down_seconds(scaling, 600.0) == 0.0


def test_only_desires_that_can_still_be_the_largest_or_smallest_of_a_window_are_kept() -> None:
    history = after((0.0, 9), (10.0, 4), (20.0, 6), (30.0, 5))
    assert history.highs == (Desire(0.0, 9), Desire(20.0, 6), Desire(30.0, 5))
    assert history.lows == (Desire(10.0, 4), Desire(30.0, 5))
    assert history.watching_since == 0.0


def test_a_desire_counts_to_the_last_second_of_its_window() -> None:
    at_the_end = after((0.0, 9), (0.0, 1), (30.0, 2), (60.0, 2))
    assert at_the_end.highs[0] == Desire(0.0, 9)
    past = after((0.0, 9), (60.1, 2))
    assert past.highs == (Desire(60.1, 2),)
    assert after((0.0, 1), (30.0, 2)).lows[0] == Desire(0.0, 1)
    assert after((0.0, 1), (30.1, 2)).lows == (Desire(30.1, 2),)


def test_equal_desires_are_kept_once() -> None:
    history = after((0.0, 3), (1.0, 3), (2.0, 3))
    assert history.highs == history.lows == (Desire(2.0, 3),)


def test_a_clock_that_was_set_back_starts_the_windows_anew() -> None:
    history = after((1000.0, 9), (400.0, 2))
    assert history.watching_since == 400.0
    assert history.highs == (Desire(400.0, 2),)
    assert after((400.0, 9), (400.0, 2)).watching_since == 400.0


def test_what_was_forgotten_holds_nothing_and_nothing_moves_before_it_is_watched() -> None:
    history = reset_window(after((0.0, 9), (10.0, 4)))
    assert (history.watching_since, history.highs, history.lows) == (None, (), ())


def test_up_goes_to_the_smallest_desire_and_down_to_the_largest() -> None:
    history = after((0.0, 6), (30.0, 8), (60.0, 7))
    assert may_become(history, 60.0, 5) == 7
    assert may_become(history, 60.0, 9) == 8
    assert may_become(history, 60.0, 7) == 7


def test_each_direction_waits_for_its_own_window() -> None:
    early, late = after((0.0, 6), (29.9, 6)), after((0.0, 6), (30.0, 6))
    assert (may_become(early, 29.9, 5), may_become(late, 30.0, 5)) == (5, 6)
    early, late = after((0.0, 3), (59.9, 3)), after((0.0, 3), (60.0, 3))
    assert (may_become(early, 59.9, 5), may_become(late, 60.0, 5)) == (5, 3)


def test_from_zero_one_starts_at_once_if_the_last_look_asks_for_any() -> None:
    assert may_become(after((0.0, 7)), 0.0, 0) == 1
    assert stabilized(after((0.0, 0)), 0.0, 0, up=30.0, down=60.0, within=lambda n: n) == 0
    assert may_become(after((0.0, 7)), 0.0, 1) == 1
    fell = after((0.0, 7), (5.0, 0))
    assert stabilized(fell, 5.0, 0, up=30.0, down=60.0, within=lambda n: n) == 0


def test_desires_count_within_what_is_allowed() -> None:
    assert may_become(after((0.0, 50), (60.0, 50)), 60.0, 4, most=6) == 6
    assert may_become(after((0.0, 50), (60.0, 50)), 60.0, 9, most=6) == 6

"""Room, gathering, drains, throughput: decisions on plain numbers."""

from __future__ import annotations

import pytest

from asr_core.task import Lane
from asr_worker.in_flight.capacity import (
    RESERVED_TASKS,
    Capacity,
    Throughput,
    Unfinished,
    batch_seconds_on,
    fits,
    reap_every_seconds,
    remaining_capacity,
    reserved_capacity,
    should_gather,
)


def test_an_empty_worker_has_room_for_two_batches() -> None:
    room = remaining_capacity([], batch_seconds=500, max_tasks=256)
    assert (room.seconds, room.tasks) == (1000, 256)


def test_room_shrinks_by_what_is_still_to_be_transcribed() -> None:
    assert remaining_capacity([100, 250], batch_seconds=500, max_tasks=256).seconds == 650


def test_a_ten_hour_recording_leaves_room_for_a_short_one_and_two_of_them_do_not() -> None:
    assert remaining_capacity([36_000], batch_seconds=500, max_tasks=256)
    assert not remaining_capacity([36_000, 36_000], batch_seconds=500, max_tasks=256)


def test_room_for_one_task_or_one_second_is_room() -> None:
    assert Capacity(0.5, 1)
    assert not Capacity(0.0, 1)
    assert not Capacity(0.5, 0)


def test_there_is_no_room_beyond_the_most_tasks_whatever_their_length() -> None:
    assert not remaining_capacity([1.0] * 8, batch_seconds=500, max_tasks=8)


@pytest.mark.parametrize(
    ("full", "lanes", "coming", "waits"),
    [
        (False, [Lane.NORMAL], True, True),
        (False, [Lane.NORMAL], False, False),
        (True, [Lane.NORMAL], True, False),
        (False, [Lane.BATCH, Lane.INTERACTIVE], True, False),
    ],
)
def test_an_idle_engine_waits_only_for_more_of_what_nobody_watches(
    full: bool, lanes: list[Lane], coming: bool, waits: bool
) -> None:
    assert waits is should_gather(is_full=full, lanes=lanes, more_coming=coming)


def test_a_drain_keeps_the_shortest_tasks_that_fit_in_the_grace_period() -> None:
    tasks = [Unfinished("long", 5000.0), Unfinished("short", 10.0), Unfinished("middle", 600.0)]
    assert fits(tasks, throughput=100, grace_seconds=10) == {"short", "middle"}
    assert fits(tasks, throughput=1, grace_seconds=30) == {"short"}


def test_a_fifth_of_the_grace_period_is_left_for_what_comes_after_the_engine() -> None:
    tasks = [Unfinished("a", 300.0), Unfinished("b", 500.0)]
    assert fits(tasks, throughput=100, grace_seconds=10) == {"a", "b"}
    assert fits(tasks, throughput=100, grace_seconds=9.9) == {"a"}
    assert fits(tasks, throughput=1, grace_seconds=1) == set()


def test_an_older_batch_counts_half_after_each_minute_of_work() -> None:
    measured = Throughput()
    measured.add(60, 60)
    measured.add(600, 60)
    assert measured.audio_seconds_per_second == (60 / 2 + 600) / (60 / 2 + 60)


def test_a_drain_without_grace_keeps_nothing_and_one_without_a_measure_keeps_all() -> None:
    tasks = [Unfinished("a", 1.0), Unfinished("b", 9000.0)]
    assert fits(tasks, throughput=100, grace_seconds=0) == set()
    assert fits(tasks, throughput=0, grace_seconds=30) == {"a", "b"}


def test_reaping_keeps_pace_with_short_leases() -> None:
    assert (reap_every_seconds(30), reap_every_seconds(2)) == (5, 1)


def test_throughput_follows_the_recent_batches() -> None:
    measured = Throughput(half_life_seconds=60)
    assert measured.audio_seconds_per_second == 0
    for _ in range(10):
        measured.add(100, 1)
    assert measured.audio_seconds_per_second == pytest.approx(100)
    measured.add(1000, 600)
    assert measured.audio_seconds_per_second == pytest.approx(1000 / 600, rel=0.05)


def test_a_batch_is_as_large_as_configured_or_as_suits_the_device() -> None:
    assert (batch_seconds_on("cpu", None), batch_seconds_on("cuda:0", None)) == (60, 500)
    assert batch_seconds_on("cpu", None, window_seconds=12) == 120
    assert batch_seconds_on("cpu", 20, window_seconds=12) == 20
    assert batch_seconds_on("cpu", 20) == batch_seconds_on("cuda:0", 20) == 20


def test_a_full_hand_keeps_a_little_room_for_interactive_tasks() -> None:
    held = [(Lane.INTERACTIVE, "a")] * 3 + [(Lane.BATCH, "b")] * 5
    room = reserved_capacity(held, batch_seconds=60, max_tasks=8)
    assert room
    assert (room.tasks, room.kept_for) == (RESERVED_TASKS, {"a": 3})
    assert not reserved_capacity(held * 3, batch_seconds=60, max_tasks=8)

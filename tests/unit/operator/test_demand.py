"""What waits, who is free when, and how many workers that takes: the arithmetic, case by case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_operator.planning.demand import (
    Fleet,
    Group,
    Load,
    _started_in,
    fleet_of,
    load_of,
    workers_for,
)
from asr_operator.planning.observation import (
    Arrivals,
    Observation,
    PodObservation,
    PodState,
    QueueObservation,
    WorkerObservation,
)
from asr_operator.planning.throughput import Throughput

See = Callable[..., Observation]
TEN = Throughput(per_pod=10.0, startup_seconds=20.0, source="", by_template={}, measurements=())
NOW = 1000.0


def waiting(see: See, tasks: int, audio: float, *arrivals: Arrivals, **queue: object) -> Load:
    """The load of a queue that has no worker."""
    queue = {"oldest_wait_seconds": 55.0, "in_flight": 0, **queue}
    seen = see(0, waiting=tasks, audio_seconds=audio, arrivals=arrivals, **queue)
    return load_of(seen, TEN)


def test_what_waits_is_what_came_last_the_oldest_first(see: See) -> None:
    """Ten audio-seconds are one of work; a bucket of arrivals lasts ten seconds."""
    load = waiting(see, 3, 160.0, Arrivals(NOW - 50, 2, 100.0), Arrivals(NOW - 5, 1, 60.0))
    assert load.groups == (Group(2, 10.0, 50.0, 40.0), Group(1, 6.0, 5.0, 0.0))
    assert (load.waiting, load.work) == (3, 16.0)


def test_of_a_group_of_arrivals_only_those_wait_that_are_not_taken_yet(see: See) -> None:
    load = waiting(see, 2, 111.0, Arrivals(NOW - 50, 2, 101.0), Arrivals(NOW - 5, 1, 60.0))
    assert load.groups == (Group(1, pytest.approx(5.05), 50.0, 40.0), Group(1, 6.0, 5.0, 0.0))


def test_an_empty_queue_is_no_load(see: See) -> None:
    assert waiting(see, 0, 0.0) == Load((), task=0.0, rate=0.0) == Load()
    assert waiting(see, 0, 0.0, Arrivals(NOW - 50, 2, 100.0)).groups == ()


def test_the_mean_task_is_that_of_all_counted_arrivals_whatever_waits(see: See) -> None:
    arrivals = Arrivals(NOW - 250, 2, 100.0), Arrivals(NOW - 50, 0, 0.0), Arrivals(NOW - 5, 1, 50.0)
    for tasks in (0, 1, 3, 500):
        assert waiting(see, tasks, 100.0, *arrivals).task == 5.0
    assert waiting(see, 3, 100.0).task == 0.0
    assert waiting(see, 3, 100.0, Arrivals(NOW - 5, -4, 60.0), arrivals[0]).task == 8.0


def test_tasks_from_before_the_arrivals_share_what_audio_is_left_with_those_in_hand(
    see: See,
) -> None:
    """Two tasks are older than the counts; two are in flight, two of three back off still."""
    load = waiting(
        see, 5, 400.0, Arrivals(NOW - 50, 2, 100.0), Arrivals(NOW - 5, 1, 60.0),
        in_flight=2, delayed=3, delayed_due=1,
    )  # fmt: skip
    rest = (400.0 - 160.0) * 2 / (2 + 4)
    assert load.groups[0] == Group(2, pytest.approx(rest / 10), 55.0, 50.0)
    only_old = waiting(see, 4, 80.0)
    assert only_old.groups == (Group(4, 8.0, 55.0, 0.0),)
    assert waiting(see, 4, 80.0, in_flight=-5) == only_old
    assert waiting(see, 1, 0.5).work == 0.05


def test_the_audio_that_is_open_is_all_there_is_whatever_the_counts_say(see: See) -> None:
    load = waiting(see, 3, 80.0, Arrivals(NOW - 50, 2, 100.0), Arrivals(NOW - 5, 1, 60.0))
    assert [group.work for group in load.groups] == [5.0, 3.0]
    old_ones = waiting(see, 5, 80.0, Arrivals(NOW - 50, 2, 100.0), Arrivals(NOW - 5, 1, 60.0))
    assert [group.work for group in old_ones.groups] == [0.0, 5.0, 3.0]
    assert waiting(see, 3, 0.0).work == 0.0


def test_nothing_has_waited_for_longer_than_the_oldest(see: See) -> None:
    load = waiting(see, 2, 100.0, Arrivals(NOW - 50, 2, 100.0), oldest_wait_seconds=42.0)
    assert (load.groups[0].oldest, load.groups[0].newest) == (42.0, 40.0)
    younger = waiting(see, 2, 100.0, Arrivals(NOW - 50, 2, 100.0), oldest_wait_seconds=7.0)
    assert (younger.groups[0].oldest, younger.groups[0].newest) == (7.0, 7.0)


def test_the_rate_is_that_of_two_minutes_and_of_no_arrivals_before_them(see: See) -> None:
    load = waiting(
        see, 1, 60.0, Arrivals(NOW - 130, 9, 9e4), Arrivals(NOW - 120, 9, 9e4),
        Arrivals(NOW - 119, 4, 600.0), Arrivals(NOW - 1, 2, 660.0),
    )  # fmt: skip
    assert load.rate == pytest.approx(1260.0 / 120 / 10)


def fleet(seen: Observation, throughput: Throughput = TEN, load: Load | None = None) -> Fleet:
    return fleet_of(seen, throughput, load or Load(), poll_seconds=2.0)


def test_a_new_worker_helps_after_a_poll_and_a_start_that_takes_a_fifth_longer(see: See) -> None:
    assert fleet(see(0)) == Fleet((), 0, pytest.approx(2.0 + 1.21 * 20.0))


def test_a_busy_worker_is_free_after_one_of_its_tasks_less_the_age_of_a_heartbeat(
    see: See,
) -> None:
    """60 s of audio are 6 s of work; what was told is five seconds old on the average."""
    seen = see(2, busy=1)
    assert fleet(seen).workers == ((0.0, 1.0), (1.0, 1.0))
    assert fleet(seen).busy == 1
    four = replace(seen.workers[0], busy=4, in_flight_seconds=400.0)
    assert fleet(replace(seen, workers=(four, seen.workers[1]))).workers[1] == (5.0, 1.0)


def test_the_workers_of_one_pod_are_one_worker_with_all_that_they_hold(see: See) -> None:
    seen = see(1, busy=1)
    second = replace(seen.workers[0], consumer="pod-0.y", busy=2, in_flight_seconds=240.0)
    both = fleet(replace(seen, workers=(seen.workers[0], second)))
    assert both.workers == ((300.0 / 10 / 3 - 5.0, 1.0),)
    assert both.busy == 1
    idle = replace(second, busy=0, in_flight_seconds=999.0)
    assert fleet(replace(seen, workers=(seen.workers[0], idle))).workers == ((1.0, 1.0),)


def test_a_worker_of_another_template_is_as_fast_as_that(see: See) -> None:
    mixed = replace(TEN, by_template={"old": 5.0})
    seen = see(1, busy=1)
    seen = replace(seen, pods=(replace(seen.pods[0], template="old"),))
    assert fleet(seen, mixed).workers == ((60.0 / 5.0 - 5.0, 0.5),)


def test_a_busy_worker_that_tells_of_no_work_has_just_begun_a_task(see: See) -> None:
    """Half as long again as the mean: long ones are seen oftener; a heartbeat is 5 s old."""
    seen = see(2, busy=2)
    silent = tuple(replace(worker, in_flight_seconds=0.0) for worker in seen.workers)
    load = Load(task=20.0)
    assert fleet(replace(seen, workers=silent), load=load).workers == ((25.0, 1.0), (25.0, 1.0))
    one = (replace(silent[0], busy=3), seen.workers[1])
    assert fleet(replace(seen, workers=one), load=load).workers == ((1.0, 1.0), (25.0, 1.0))
    slow = replace(TEN, by_template={"old": 5.0})
    old = replace(seen, workers=silent, pods=(replace(seen.pods[0], template="old"), seen.pods[1]))
    assert fleet(old, slow, load).workers == ((25.0, 1.0), (55.0, 0.5))


def test_a_starting_pod_has_come_so_far_but_needs_a_tenth_of_a_start_at_least(see: See) -> None:
    (young,) = fleet(see(1, starting=1)).workers
    assert young == (pytest.approx(26.2 - 5.0), 1.0)
    seen = see(1, starting=1)
    old = replace(seen, pods=(replace(seen.pods[0], age_seconds=900.0),))
    assert fleet(old).workers == ((2.0, 1.0),)


def test_pods_without_a_node_and_those_not_made_yet_start_now(see: See) -> None:
    soon = pytest.approx(26.2)
    assert fleet(see(2, nodeless=1)).workers == ((0.0, 1.0), (soon, 1.0))
    assert fleet(replace(see(1), replicas=3)).workers == ((0.0, 1.0), (soon, 1.0), (soon, 1.0))


def test_of_more_pods_than_replicas_the_soonest_count(see: See) -> None:
    assert fleet(replace(see(3, busy=2), replicas=1)).workers == ((0.0, 1.0),)
    assert fleet(replace(see(3), replicas=-1)).workers == ()


def test_an_idle_worker_is_free_now_however_slow_it_is(see: See) -> None:
    assert fleet(see(1), replace(TEN, per_pod=0.1)).workers == ((0.0, 1.0),)


def test_a_pod_that_ends_is_no_worker_and_one_that_nobody_hears_is_free() -> None:
    pods = (PodObservation("a", PodState.READY), PodObservation("b", PodState.TERMINATING))
    elsewhere = (WorkerObservation("x", "elsewhere", 1, in_flight_seconds=100.0),)
    assert fleet(Observation(NOW, QueueObservation(), 1, elsewhere, pods)).workers == ((0.0, 1.0),)


NOBODY = Fleet((), 0, 0.0)


def tasks_of(count: int, work: float, age: float = 0.0, rate: float = 0.0) -> Load:
    return Load((Group(count, work, age, age),), rate=rate)


def test_nothing_that_waits_needs_nobody_and_one_task_one_worker() -> None:
    assert workers_for(Load(), NOBODY, target=60, startup=0) == 0
    assert workers_for(Load(), Fleet(((9.0, 1.0),), 1, 0.0), target=60, startup=0) == 0
    assert workers_for(tasks_of(1, 1e9), NOBODY, target=60, startup=0) == 1
    assert workers_for(tasks_of(1, 0.1), NOBODY, target=60, startup=0) == 1


def test_all_that_waits_is_worked_off_within_the_target() -> None:
    """Of many short tasks: what one worker does in a minute, for each worker."""
    for workers in (1, 2, 5, 50):
        most = tasks_of(100_000, 60.0 * workers)
        assert workers_for(most, NOBODY, target=60, startup=0) == workers
        more = tasks_of(100_000, 60.0 * workers * 1.01)
        assert workers_for(more, NOBODY, target=60, startup=0) == workers + 1


def test_several_workers_are_free_in_turns_which_saves_most_of_a_tasks_time() -> None:
    """Twelve tasks of 10 s, two workers: 0.65 of one, times a half."""
    assert workers_for(tasks_of(12, 120.0 + 6.6), NOBODY, target=60, startup=0) == 2
    assert workers_for(tasks_of(12, 120.0 + 7.0), NOBODY, target=60, startup=0) == 3


def test_of_fewer_tasks_than_workers_the_turns_save_a_part_of_the_whole_time() -> None:
    """Two long tasks take four workers 50.75 s, less 0.65 * 3 / 4 of that: not of 101.5 s."""
    ready = Fleet(((0.0, 1.0),) * 5, 0, 0.0)
    for age, workers in ((33.9, 4), (34.1, 5)):
        load = Load((Group(2, 203.0, age, age), Group(4, 0.0, age, 0.0)))
        assert workers_for(load, ready, target=60, startup=0) == workers


def test_behind_many_short_tasks_the_turns_save_part_of_a_short_one() -> None:
    """Of a hundred that take two workers 50 s: a third of a second."""
    ready = Fleet(((0.0, 1.0),) * 4, 0, 0.0)
    for age, workers in ((10.0, 2), (11.0, 3)):
        load = Load((Group(100, 100.0, age, 0.0), Group(1, 0.0, age, age)))
        assert workers_for(load, ready, target=60, startup=0) == workers


def test_the_slower_a_start_the_more_of_the_target_is_kept_free_but_never_over_half() -> None:
    """Of ten workers 9 / 10 of 0.7 times start-up over target; for long starts a half."""
    ready = Fleet(((0.0, 1.0),) * 10, 0, 30.0)
    within = 60.0 * (1 - 0.7 * 0.5 * 0.9)
    assert workers_for(tasks_of(100_000, 9.99 * within), ready, target=60, startup=30) == 10
    assert workers_for(tasks_of(100_000, 10.01 * within), ready, target=60, startup=30) == 11
    slow = replace(ready, new_in=600.0)
    assert workers_for(tasks_of(100_000, 299.0), slow, target=60, startup=600) == 10
    assert workers_for(tasks_of(100_000, 301.0), slow, target=60, startup=600) == 11


def test_a_start_as_long_as_the_target_adds_a_fifth_of_what_arrives_meanwhile() -> None:
    """One worker, no share of the target is kept for others: 60 s less 0.2 * 60 s * 0.5."""
    for slowness, part in ((1.0, 1.0), (2.0, 1.0), (5 / 6, 0.5), (0.5, 0.0)):
        arriving = 0.2 * 60.0 * 0.5 * part
        under, over = (
            workers_for(
                Load((Group(100_000, 60.0 - arriving + more, 0.0, 0.0),), rate=0.5),
                Fleet(((0.0, 1.0),), 0, 60.0), target=60.0, startup=60.0 * slowness,
            )
            for more in (-0.01, 0.5)
        )  # fmt: skip
        assert under == 1, slowness
        assert over > 1, slowness


TWO_IDLE = Fleet(((0.0, 1.0),) * 2, 0, 30.0)


def test_a_task_is_to_begin_within_the_target_counted_from_its_arrival() -> None:
    """Of two tasks 30 s are gone of 60, and most of the last one is reckoned to come before it."""
    in_time = tasks_of(2, 31.5, age=30.0)
    assert workers_for(in_time, TWO_IDLE, target=60, startup=0) == 1
    late = tasks_of(2, 31.7, age=30.0)
    assert workers_for(late, TWO_IDLE, target=60, startup=0) == 2


def test_while_a_worker_starts_others_arrive_for_whom_a_part_of_the_target_is_kept() -> None:
    """0.7 of it, times the square of start-up over target; a half at most."""
    for startup, within in ((6.0, 59.58), (30.0, 49.5), (60.0, 30.0), (600.0, 30.0)):
        in_time, late = (
            workers_for(tasks_of(100_000, within + more), TWO_IDLE, target=60, startup=startup)
            for more in (-0.1, 0.1)
        )
        assert (in_time, late) == (1, 2), startup


def test_tasks_without_audio_take_one_worker_however_late_they_are() -> None:
    four = Fleet(((0.0, 1.0),) * 4, 0, 0.0)
    assert workers_for(tasks_of(3, 0.0, age=900.0), four, target=60, startup=0) == 1


def test_new_workers_do_what_those_that_are_busy_for_long_cannot() -> None:
    busy = Fleet(((1000.0, 1.0),) * 2, 2, 20.0)
    assert workers_for(tasks_of(1000, 100.0, age=300.0), busy, target=60, startup=20) == 2 + 4


def test_what_is_late_already_begins_within_some_half_of_the_target() -> None:
    """0.44 of the target after a new worker could be there."""
    late = tasks_of(1000, 100.0, age=300.0)
    asked = workers_for(late, Fleet((), 0, 20.0), target=60, startup=20)
    assert asked == 4, "100 s of work, 26.4 s each"
    assert workers_for(late, Fleet((), 0, 20.0), target=600, startup=20) == 1


def test_fewer_workers_than_there_are_would_have_to_begin_everything_in_time() -> None:
    """Of late tasks none may go, though as few would do if they were new."""
    late = tasks_of(1000, 20.0, age=300.0)
    four = Fleet(((0.0, 1.0),) * 4, 0, 20.0)
    assert workers_for(late, four, target=60, startup=20) == 4
    young = tasks_of(1000, 20.0)
    assert workers_for(young, four, target=60, startup=20) == 1


def test_more_workers_than_tasks_in_hand_and_waiting_are_of_no_use() -> None:
    busy = Fleet(((1000.0, 1.0),) * 3, 3, 0.0)
    two = Load((Group(2, 1e6, 1e3, 1e3),))
    assert workers_for(two, busy, target=60, startup=0) == 5
    assert workers_for(tasks_of(10**9, 1e12), NOBODY, target=60, startup=0) == 10_000


free = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 4)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(free, st.integers(0, 300))
def test_work_is_begun_when_those_that_are_free_have_done_what_is_before_it(
    fleet: list[tuple[int, int]], work: int
) -> None:
    """Against a clock that ticks: in each hundredth of a second every free worker does its part."""
    workers = sorted((float(free_in), float(speed)) for free_in, speed in fleet)
    now, done = 0.0, 0.0
    while not any(free_in <= now for free_in, _ in workers) or done < work - 1e-6:
        done += 0.01 * sum(speed for free_in, speed in workers if free_in <= now + 1e-9)
        now += 0.01
    assert _started_in(workers, float(work)) == pytest.approx(now, abs=0.05)


def test_without_workers_nothing_is_ever_begun() -> None:
    assert _started_in([], 1.0) == inf

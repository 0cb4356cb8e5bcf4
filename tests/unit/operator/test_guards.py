"""What keeps a pool from scaling by its work, to the second and to the replica."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from asr_operator.planning.conditions import Reason, ScalingDecision
from asr_operator.planning.guards import guarded_decision, no_heartbeats, with_other_writer
from asr_operator.planning.observation import History, Observation, QueueObservation
from asr_operator.planning.spec import PoolSpec

PoolOf = Callable[..., PoolSpec]
See = Callable[..., Observation]


def away(seen: Observation, error: str = "refused") -> Observation:
    return replace(seen, queue=QueueObservation.unreachable(error))


def block(spec: PoolSpec, seen: Observation, history: History | None = None) -> ScalingDecision:
    found = guarded_decision(spec, seen, history or History())
    assert found is not None
    return found


def test_nothing_blocks_a_pool_that_is_well(pool_of: PoolOf, see: See) -> None:
    assert guarded_decision(pool_of(), see(3, busy=1, waiting=5), History()) is None


def test_a_pause_at_a_number_goes_there_in_steps_but_takes_nobody_without_a_signal(
    pool_of: PoolOf, see: See
) -> None:
    spec = pool_of(paused={"replicas": 5}, maxReplicas=20, maxStep={"up": 2, "down": 3})
    assert block(spec, see(1)) == ScalingDecision(3, Reason.PAUSED, "paused at 5")
    assert block(spec, see(9)).replicas == 6
    assert block(spec, see(5)).replicas == 5
    blind = block(spec, away(see(9)))
    assert (blind.replicas, "no worker goes" in blind.message) == (9, True)
    up = block(spec, away(see(4)))
    assert (up.replicas, up.message) == (5, "paused at 5")
    assert block(spec, away(see(5))).message == "paused at 5"


def test_the_fallback_goes_up_in_steps_and_says_for_how_long_there_was_no_signal(
    pool_of: PoolOf, see: See
) -> None:
    spec = pool_of(fallback={"afterSeconds": 300, "replicas": 6}, maxStep={"up": 2})
    lost = History(signal_lost_at=700.0)
    fallen = block(spec, away(see(1)), lost)
    assert (fallen.replicas, fallen.reason) == (3, Reason.FALLBACK)
    assert "could not be read for 300 s: refused; the fallback is 6" in fallen.message
    assert block(spec, away(see(1), ""), History()).message.endswith("no reason given")
    assert "for 0 s" in block(spec, away(see(1)), History()).message


def test_a_ready_pod_is_missed_fifteen_seconds_after_it_became_ready(see: See) -> None:
    """It was ready 20 s after it was made, and beats every ten."""
    for age, silent in ((34.9, False), (35.0, True)):
        seen = see(1, heard=False)
        seen = replace(seen, pods=(replace(seen.pods[0], age_seconds=age),))
        assert no_heartbeats(seen) is silent
    unknown = replace(seen, pods=(replace(seen.pods[0], age_seconds=15.5, startup_seconds=None),))
    assert no_heartbeats(unknown)
    assert not no_heartbeats(see(1, heard=False, starting=1)), "it is not ready yet"


def test_silence_means_nothing_where_nobody_could_speak(see: See) -> None:
    assert no_heartbeats(see(1, heard=False, starting=1, in_flight=1))
    assert not no_heartbeats(see(2, busy=1))
    assert not no_heartbeats(away(see(3, heard=False)))
    assert not no_heartbeats(see(0, heard=False, in_flight=1))


def test_a_redis_that_is_not_trusted_yet_wakes_one_and_only_for_work(
    pool_of: PoolOf, see: See
) -> None:
    woken = block(pool_of(), see(0, waiting=7, trusted=False))
    assert woken == ScalingDecision(1, Reason.ACTIVATE, "7 waiting")
    assert block(pool_of(), see(0, trusted=False)).reason is Reason.HOLD_UNTRUSTED
    held = block(pool_of(), see(1, waiting=7, trusted=False))
    assert (held.replicas, held.reason) == (1, Reason.HOLD_UNTRUSTED)


@pytest.mark.parametrize(("times", "seconds"), [(1, 60), (2, 120), (3, 240), (4, 480), (5, 600)])
def test_each_time_another_writer_is_left_alone_twice_as_long_up_to_ten_minutes(
    pool_of: PoolOf, see: See, times: int, seconds: float
) -> None:
    history = History(foreign_replicas=6, last_conflict_at=1000.0, conflicts=times)
    held = block(pool_of(), see(6, written=3, now=999.5 + seconds), history)
    assert held.reason is Reason.HOLD_CONFLICT
    assert "from 3 to 6; left alone for 0 s" in held.message
    assert guarded_decision(pool_of(), see(6, written=3, now=1000.5 + seconds), history) is None
    set_back = see(6, written=3, now=990.0)
    assert guarded_decision(pool_of(), set_back, history) is None, "the clock was set back"


def test_a_writer_is_noted_once_for_each_number_it_writes(see: See) -> None:
    first = with_other_writer(see(6, written=3, now=1000.0), History())
    assert (first.foreign_replicas, first.last_conflict_at, first.conflicts) == (6, 1000.0, 1)
    assert with_other_writer(see(6, written=3, now=1050.0), first) == first
    second = with_other_writer(see(7, written=3, now=1050.0), first)
    assert (second.foreign_replicas, second.last_conflict_at, second.conflicts) == (7, 1050.0, 2)
    for number in range(100):
        second = with_other_writer(see(10 + number, written=3), second)
    assert second.conflicts <= 20, "2 to its power is a number of seconds"


def test_half_an_hour_of_peace_forgets_how_often_it_was_disturbed(see: See) -> None:
    history = History(foreign_replicas=6, last_conflict_at=1000.0, conflicts=3)
    calm = with_other_writer(see(3, written=3, now=2800.0), history)
    assert (calm.foreign_replicas, calm.conflicts, calm.last_conflict_at) == (None, 3, 1000.0)
    forgotten = with_other_writer(see(3, written=3, now=2800.5), calm)
    assert (forgotten.conflicts, forgotten.last_conflict_at) == (0, None)
    assert with_other_writer(see(3, now=9999.0), History()) == History()
    never = with_other_writer(see(3, written=None, now=2800.0), history)
    assert never.foreign_replicas is None

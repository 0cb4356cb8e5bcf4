"""When the plan holds what there is: no signal, a pause, other writers, full nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from asr_operator.planning.observation import History, Hold, Observation, QueueObservation
from asr_operator.planning.plan import Plan, Reason, plan
from asr_operator.planning.spec import PoolSpec

PoolOf = Callable[..., PoolSpec]
See = Callable[..., Observation]
Watched = Callable[..., Plan]
Status = Callable[[Plan, str], bool | None]


def test_a_restart_at_load_moves_nothing_down(pool_of: PoolOf, see: See) -> None:
    assert plan(pool_of(), see(6), History()).replicas == 6
    assert plan(pool_of(maxReplicas=3), see(6), History()).replicas == 6


def test_without_redis_nothing_moves(
    pool_of: PoolOf, see: See, watched: Watched, status: Status
) -> None:
    for replicas in (0, 5):
        observation = replace(see(replicas), queue=QueueObservation.unreachable("Redis: refused"))
        decided = watched(pool_of(), observation)
        assert (decided.replicas, decided.reason) == (replicas, Reason.HOLD_SIGNAL)
        assert status(decided, "SignalAvailable") is False
        assert status(decided, "Ready") is False
        assert "refused" in decided.message


def test_an_outage_starts_the_down_window_anew(pool_of: PoolOf, see: See, watched: Watched) -> None:
    spec = pool_of(stabilizationSeconds={"down": 60})
    away = replace(see(4), queue=QueueObservation.unreachable("away"))
    history = watched(spec, see(4), 300.0).history
    history = plan(spec, replace(away, now=1001.0), history).history
    back = plan(spec, see(4, now=1002.0), history)
    assert back.replicas == 4
    assert plan(spec, see(4, now=1062.0), back.history).replicas < 4


def test_the_fallback_comes_after_its_time_also_at_zero_and_takes_nobody(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    spec = pool_of(fallback={"afterSeconds": 300, "replicas": 2})
    for replicas, expected in ((0, 2), (1, 2), (5, 5)):
        away = replace(see(replicas), queue=QueueObservation.unreachable("away"))
        assert watched(spec, away, 299.0).replicas == replicas
        fallen = watched(spec, away, 300.0)
        assert (fallen.replicas, fallen.reason) == (expected, Reason.FALLBACK)


def test_the_time_without_a_signal_survives_a_restart_through_the_status(
    pool_of: PoolOf, see: See
) -> None:
    spec = pool_of(fallback={"afterSeconds": 300, "replicas": 2})
    away = replace(see(0), queue=QueueObservation.unreachable("away"))
    assert plan(spec, away, History(signal_lost_at=700.0)).replicas == 2


def test_a_new_redis_is_not_believed_but_wakes_a_worker(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    held = watched(pool_of(), see(3, waiting=500, trusted=False))
    assert (held.replicas, held.reason) == (3, Reason.HOLD_UNTRUSTED)
    assert plan(pool_of(), see(0, waiting=1, trusted=False), History()).replicas == 1


def test_ready_pods_without_heartbeats_hold(pool_of: PoolOf, see: See, watched: Watched) -> None:
    for more in ({}, {"in_flight": 1}, {"waiting": 500}):
        decided = watched(pool_of(), see(3, heard=False, **more))
        assert (decided.replicas, decided.reason) == (3, Reason.HOLD_HEARTBEATS)


def test_a_pod_that_has_just_become_ready_may_take_its_time_to_be_heard(
    pool_of: PoolOf, see: See
) -> None:
    observation = see(1, heard=False, waiting=1)
    young = tuple(replace(pod, age_seconds=25.0) for pod in observation.pods)
    assert plan(pool_of(), replace(observation, pods=young), History()).reason is Reason.STEADY


def test_one_silent_pod_among_others_stays_while_unheard_tasks_are_in_flight(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    spec = pool_of(maxStep={"down": 9})
    observation = see(3)
    heard = replace(observation, workers=observation.workers[:2])
    assert watched(spec, heard).replicas == 0
    unheard = replace(heard, queue=replace(heard.queue, in_flight=1, audio_seconds=60.0))
    assert watched(spec, unheard).replicas == 1


def test_unheard_tasks_hold_as_many_silent_pods_as_they_may_fill(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    """One worker is heard, three are not; the work keeps one, two of the silent ones may go."""
    seen = see(4)
    seen = replace(seen, workers=seen.workers[:1])

    def left(in_flight: int, **spec: int) -> int:
        queue = replace(seen.queue, in_flight=in_flight, audio_seconds=60.0)
        pool = pool_of(spec=spec, maxStep={"down": 9})
        return watched(pool, replace(seen, queue=queue)).replicas

    assert [left(count) for count in (1, 2, 3)] == [2, 3, 3]
    assert [left(count, slotsPerWorker=2) for count in (1, 2, 3)] == [2, 2, 3]


def test_a_pause_leaves_what_it_finds_and_a_pause_at_a_number_goes_there(
    pool_of: PoolOf, see: See, watched: Watched, status: Status
) -> None:
    found = watched(pool_of(paused=True), see(3, waiting=500))
    assert (found.replicas, found.reason) == (3, Reason.PAUSED)
    assert status(found, "Paused") is True
    assert status(found, "ScalingActive") is False
    at_five = pool_of(paused={"replicas": 5})
    assert plan(at_five, see(3), History()).replicas == 5
    assert plan(at_five, see(6, busy=1), History()).replicas == 5
    assert plan(at_five, see(6, busy=6), History()).replicas == 6, "busy ones finish first"


def test_pods_without_a_node_stop_the_way_up(pool_of: PoolOf, see: See, status: Status) -> None:
    decided = plan(pool_of(), see(3, nodeless=1, busy=2, waiting=500), History())
    assert (decided.replicas, decided.reason) == (3, Reason.HOLD_CAPACITY)
    assert status(decided, "CapacityUnavailable") is True
    assert status(decided, "Ready") is False


def test_after_the_time_out_pods_without_a_node_are_given_up_and_tried_again_later(
    pool_of: PoolOf, see: See, status: Status
) -> None:
    spec = pool_of(unschedulableTimeoutSeconds=600)
    short = see(4, nodeless=2, nodeless_seconds=601.0, busy=2, waiting=500)
    give_up_message = plan(spec, short, History())
    assert (give_up_message.replicas, give_up_message.reason) == (2, Reason.GIVE_UP_UNSCHEDULABLE)
    assert status(give_up_message, "Ready") is False, "it is not well for the moment of giving up"
    assert give_up_message.message.startswith("2 pods could not be scheduled for over 600 s")
    assert give_up_message.cordon == (), "only what has no node goes"
    guarded_decision = plan(spec, see(2, busy=2, waiting=500, now=1500.0), give_up_message.history)
    assert (guarded_decision.replicas, guarded_decision.reason) == (2, Reason.HOLD_CAPACITY)
    assert status(guarded_decision, "CapacityUnavailable") is True
    retried = plan(spec, see(2, busy=2, waiting=500, now=1600.0), guarded_decision.history)
    assert retried.replicas > 2


def test_one_worker_is_asked_for_without_end_while_a_task_waits(pool_of: PoolOf, see: See) -> None:
    alone = see(1, nodeless=1, nodeless_seconds=9000.0, waiting=3)
    assert plan(pool_of(), alone, History()).replicas == 1


def test_a_pool_that_somebody_else_owns_is_left_alone(
    pool_of: PoolOf, see: See, watched: Watched, status: Status
) -> None:
    hold = Hold("Conflict", "OlderPool", "WorkerPool 'a' is older")
    decided = watched(pool_of(minReplicas=4), see(2, waiting=500, hold=hold))
    assert (decided.replicas, decided.reason) == (2, Reason.HOLD_CONFLICT)
    assert status(decided, "Conflict") is True
    assert status(decided, "ScalingActive") is False
    mismatch = Hold("PoolMismatch", "OtherPool", "serves 'b'")
    decided = watched(pool_of(), see(2, hold=mismatch))
    assert decided.replicas == 2
    assert status(decided, "PoolMismatch") is True
    assert status(decided, "Conflict") is False


def test_another_writer_is_left_alone_longer_each_time(
    pool_of: PoolOf, see: See, watched: Watched, status: Status
) -> None:
    spec = pool_of(maxReplicas=4)
    first = plan(spec, see(6, written=3), watched(spec, see(3, written=3)).history)
    assert (first.replicas, first.reason) == (6, Reason.HOLD_CONFLICT)
    assert status(first, "Conflict") is True
    assert plan(spec, see(6, written=3, now=1059.0), first.history).replicas == 6
    later = plan(spec, see(6, written=3, now=1061.0), first.history)
    assert (later.replicas, later.reason) == (4, Reason.SCALE_DOWN)
    calm = plan(spec, see(4, written=4, now=1063.0), later.history)
    again = plan(spec, see(6, written=4, now=1065.0), calm.history)
    assert plan(spec, see(6, written=4, now=1180.0), again.history).reason is Reason.HOLD_CONFLICT
    assert plan(spec, see(6, written=4, now=1186.0), again.history).reason is Reason.SCALE_DOWN

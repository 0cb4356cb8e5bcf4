"""What the plan decides, case by case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from asr_operator.planning.observation import History, Measurement, Observation, QueueObservation
from asr_operator.planning.plan import Plan, Reason, plan
from asr_operator.planning.spec import PoolSpec

PoolOf = Callable[..., PoolSpec]
See = Callable[..., Observation]
Watched = Callable[..., Plan]
Status = Callable[[Plan, str], bool | None]


def test_one_task_wakes_one_worker(pool_of: PoolOf, see: See, status: Status) -> None:
    decided = plan(pool_of(), see(0, waiting=1), History())
    assert (decided.replicas, decided.reason) == (1, Reason.ACTIVATE)
    assert status(decided, "Ready") is True


def test_of_a_pool_that_is_well_every_condition_says_so(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    decided = watched(pool_of(), see(2, busy=2, waiting=1))
    assert {each.type: each.status for each in decided.conditions} == {
        "Ready": True,
        "SignalAvailable": True,
        "ScalingActive": True,
        "ScalingLimited": False,
        "TargetUnreachable": False,
        "CapacityUnavailable": False,
        "Conflict": False,
        "PoolMismatch": False,
        "Paused": False,
    }


def test_a_task_that_backs_off_wakes_nobody_until_it_is_due(pool_of: PoolOf, see: See) -> None:
    assert plan(pool_of(), see(0, delayed=1), History()).replicas == 0
    assert plan(pool_of(), see(0, delayed=1, delayed_due=1, waiting=1), History()).replicas == 1


def test_a_task_that_backs_off_keeps_the_last_worker(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    assert watched(pool_of(), see(1, delayed=1)).replicas == 1
    assert watched(pool_of(), see(1)).replicas == 0


def test_a_task_in_flight_keeps_the_last_worker(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    assert watched(pool_of(), see(1, busy=1)).replicas == 1


def test_the_backlog_is_measured_in_audio_not_in_tasks(pool_of: PoolOf, see: See) -> None:
    """600 s of work for one worker; in the half minute that a start leaves, eighteen begin it."""
    spec = pool_of(maxReplicas=50)
    long = plan(spec, see(0, waiting=100, audio_seconds=6000.0), History())
    short = plan(spec, see(0, waiting=100, audio_seconds=60.0), History())
    assert 15 <= long.desired <= 20
    assert short.desired == 1


def test_more_workers_than_tasks_are_of_no_use(pool_of: PoolOf, see: See) -> None:
    assert plan(pool_of(), see(0, waiting=2, audio_seconds=36_000.0), History()).desired == 2


def test_scaling_up_goes_in_steps_and_to_the_maximum(pool_of: PoolOf, see: See) -> None:
    spec = pool_of(maxReplicas=6)
    first = plan(spec, see(0, waiting=500), History())
    assert first.replicas == 4
    second = plan(spec, see(4, starting=4, waiting=500), first.history)
    assert (second.replicas, second.reason) == (6, Reason.SCALE_UP)


def test_what_the_work_asks_for_is_told_beside_the_bounds(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    """Types and reasons are those of a HorizontalPodAutoscaler."""

    def limited(decided: Plan) -> tuple[bool | None, str]:
        (found,) = (each for each in decided.conditions if each.type == "ScalingLimited")
        return found.status, found.reason

    free = watched(pool_of(maxReplicas=300), see(6, busy=6, waiting=500))
    capped = watched(pool_of(maxReplicas=6), see(6, busy=6, waiting=500))
    assert limited(free) == (False, "DesiredWithinRange")
    assert capped.desired == free.desired > 6
    assert (capped.replicas, capped.reason) == (6, Reason.STEADY)
    assert limited(capped) == (True, "TooManyReplicas")
    assert "maxReplicas is 6" in capped.message
    kept = watched(pool_of(minReplicas=2), see(2))
    assert (kept.replicas, kept.desired) == (2, 0)
    assert limited(kept) == (True, "TooFewReplicas")
    away = replace(see(9), queue=QueueObservation.unreachable("away"))
    assert limited(watched(pool_of(maxReplicas=6), away)) == (None, "QueueUnreachable")


def test_scaling_down_waits_for_the_whole_window(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    spec = pool_of(stabilizationSeconds={"down": 60}, maxStep={"down": 3})
    early, late = watched(spec, see(4), 59.0), watched(spec, see(4), 60.0)
    assert (early.replicas, early.reason) == (4, Reason.HOLD_STABILIZING)
    assert (late.replicas, late.reason) == (1, Reason.SCALE_DOWN)


def test_the_largest_desire_of_the_window_counts(pool_of: PoolOf, see: See) -> None:
    spec = pool_of(stabilizationSeconds={"down": 60}, maxStep={"down": 9})
    history = plan(spec, see(4, waiting=16, busy=4, now=1000), History()).history
    asked = plan(spec, see(4, waiting=16, busy=4, now=1040), history)
    assert plan(spec, see(4, now=1100), asked.history).replicas == asked.desired > 1
    assert plan(spec, see(4, now=1101), asked.history).replicas == 0


def test_without_a_setting_the_window_is_half_a_start_at_most(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    """20 s to start under a target of 60 s are missed by nobody; under one of 20 s they are."""
    assert watched(pool_of(), see(2), 4.0).replicas == 2
    assert watched(pool_of(), see(2), 5.0).replicas == 0
    assert watched(pool_of(targetWaitSeconds=20), see(2), 9.0).replicas == 2
    assert watched(pool_of(targetWaitSeconds=20), see(2), 10.0).replicas == 0


def test_an_up_window_takes_the_smallest_desire_but_wakes_at_once(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    spec = pool_of(stabilizationSeconds={"up": 30})
    busy = see(1, busy=1, waiting=100)
    assert plan(spec, busy, History()).replicas == 1
    assert watched(spec, busy, 30.0).replicas == 5
    assert plan(spec, see(0, waiting=100), History()).replicas == 1


def test_busy_workers_stay_and_only_idle_ones_are_cordoned(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    spec = pool_of(maxStep={"down": 8})
    decided = watched(spec, see(4, busy=3))
    assert (decided.replicas, decided.cordon) == (3, ("pod-3.x",))
    assert decided.uncordon == (), "only one that was cordoned before"
    all_busy = watched(spec, see(4, busy=4))
    assert (all_busy.replicas, all_busy.reason) == (4, Reason.HOLD_BUSY)
    assert all_busy.cordon == ()


def test_where_the_user_wants_fewer_than_the_work_the_surplus_claims_no_more(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    """It would never be idle: there is always more work."""
    lowered = pool_of(maxReplicas=2, maxStep={"down": 8})
    decided = watched(lowered, see(4, busy=4, waiting=500))
    assert (decided.replicas, len(decided.cordon)) == (4, 2)
    paused = plan(pool_of(paused={"replicas": 3}), see(4, busy=4, waiting=500), History())
    assert (paused.replicas, len(paused.cordon)) == (4, 1)


def test_work_that_comes_back_uncordons_at_once(pool_of: PoolOf, see: See) -> None:
    observation = see(2, busy=1, waiting=50)
    cordoned = tuple(replace(worker, cordoned=True) for worker in observation.workers)
    decided = plan(pool_of(), replace(observation, workers=cordoned), History())
    assert decided.uncordon == ("pod-0.x", "pod-1.x")
    assert decided.cordon == ()


def test_idle_workers_cost_nothing_to_delete_and_busy_ones_by_their_work(
    pool_of: PoolOf, see: See, watched: Watched
) -> None:
    costs = dict(watched(pool_of(maxStep={"down": 1}), see(4, busy=1)).deletion_costs)
    assert costs["pod-0"] == 70
    assert sorted(costs.values()) == [0, 1, 1, 70]


def test_pods_that_are_not_there_yet_go_first(pool_of: PoolOf, see: See, watched: Watched) -> None:
    """Of six replicas two have no pod: they go, and one of four that are idle but two."""
    spec = pool_of(maxStep={"down": 9})
    decided = watched(spec, replace(see(4, busy=2), replicas=6))
    assert (decided.replicas, decided.cordon) == (2, ("pod-2.x", "pod-3.x"))
    all_busy = watched(spec, replace(see(4, busy=4), replicas=6))
    assert (all_busy.replicas, all_busy.cordon) == (4, ())
    assert "3 more go once they are idle" in all_busy.message


def test_the_numbers_of_the_work_are_told(pool_of: PoolOf, see: See) -> None:
    message = plan(pool_of(), see(1, busy=1, waiting=3, oldest_wait_seconds=7.4), History()).message
    assert message.startswith(
        "3 waiting, 1 in flight; 180 s of audio wait, the oldest for 7 s; at 10.0 audio-seconds "
        "per second and 20 s to start, a wait of 60 s takes "
    )
    idle = plan(pool_of(), see(0, delayed=2), History())
    assert idle.message == "no task waits, 0 in flight, 2 backing off"


def test_a_dry_run_decides_the_same_and_does_not_act(
    pool_of: PoolOf, see: See, status: Status
) -> None:
    observation = see(0, waiting=500)
    dry, wet = (
        plan(pool_of(dryRun=True), observation, History()),
        plan(pool_of(), observation, History()),
    )
    assert (dry.replicas, dry.reason) == (wet.replicas, wet.reason)
    assert (dry.execute, wet.execute) == (False, True)
    assert status(dry, "ScalingActive") is False


def test_a_start_that_eats_the_target_is_told_and_does_not_explode(
    pool_of: PoolOf, see: See, status: Status
) -> None:
    """58 s under a target of 60 s, two minutes of work: dividing by what is left asks for 60."""
    spec = pool_of(maxReplicas=200)
    for startup, is_unreachable in ((58.0, False), (60.0, True), (90.0, True)):
        observation = see(
            0,
            waiting=20,
            audio_seconds=1200.0,
            measurements=(Measurement("", "", "", 10.0, startup),),
        )
        decided = plan(spec, observation, History())
        assert decided.desired in (4, 5)
        assert status(decided, "TargetUnreachable") is is_unreachable


def test_a_start_that_was_not_measured_breaks_no_promise(
    pool_of: PoolOf, see: See, status: Status
) -> None:
    """Half a minute is assumed on a fresh install: that is no reason to warn."""
    spec = pool_of(targetWaitSeconds=20)
    fresh = plan(spec, see(0, measurements=()), History())
    assert status(fresh, "TargetUnreachable") is None
    started = plan(spec, see(1, measurements=()), fresh.history)
    assert status(started, "TargetUnreachable") is True


def test_a_slow_figure_is_believed_only_while_tasks_wait(pool_of: PoolOf, see: See) -> None:
    """Batches are not full under light load: it says nothing about how fast a worker can be."""
    spec = pool_of()
    fast = plan(spec, see(1, busy=1), History())
    slow_worker = (replace(see(1, busy=1).workers[0], throughput=1.0),)
    quiet = plan(spec, see(1, busy=1, workers=slow_worker, now=1300.0), fast.history)
    assert quiet.throughput == 10.0
    loaded = plan(spec, see(1, busy=1, waiting=9, workers=slow_worker, now=1300.0), fast.history)
    assert 1.0 < loaded.throughput < 1.2


def test_a_cordoned_worker_of_a_dead_operator_is_released(pool_of: PoolOf, see: See) -> None:
    observation = see(1, waiting=1)
    cordoned = replace(observation, workers=(replace(observation.workers[0], cordoned=True),))
    assert plan(pool_of(), cordoned, History()).uncordon == ("pod-0.x",)

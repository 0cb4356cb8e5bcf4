"""What holds for every plan, whatever was seen, absurd numbers included."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from asr_operator.planning.observation import (
    Arrivals,
    Desire,
    History,
    Hold,
    Measurement,
    Observation,
    PodObservation,
    PodState,
    QueueObservation,
    Signal,
    WorkerObservation,
)
from asr_operator.planning.plan import Reason, plan
from asr_operator.planning.spec import PoolSpec

NOW = 1_000_000.0
counts = st.integers(0, 40)
absurd = st.one_of(
    st.floats(0, 1e5),
    st.sampled_from([0.0, -1.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]),
)
moments = st.floats(NOW - 2000, NOW)
templates = st.sampled_from(["", "a", "b"])
measurements = st.lists(
    st.builds(Measurement, templates, st.sampled_from(["", "m"]), st.just(""), absurd, absurd),
    max_size=3,
).map(tuple)


@st.composite
def specs(draw: st.DrawFn) -> PoolSpec:
    least = draw(st.integers(0, 10))
    most = draw(st.integers(max(1, least), 30))
    scaling = {
        "minReplicas": least,
        "maxReplicas": most,
        "targetWaitSeconds": draw(st.sampled_from([1, 10, 60, 300])),
        "maxStep": {"up": draw(st.integers(1, 8)), "down": draw(st.integers(1, 8))},
        "stabilizationSeconds": {
            "up": draw(st.sampled_from([0, 30])),
            **draw(st.sampled_from([{}, {"down": 0}, {"down": 300}])),
        },
        "unschedulableTimeoutSeconds": draw(st.sampled_from([0, 600])),
        "paused": draw(st.sampled_from([False, False, False, True, {"replicas": min(3, most)}])),
        "dryRun": draw(st.booleans()),
    }
    if draw(st.booleans()):
        fallback = {"afterSeconds": 300, "replicas": draw(st.integers(0, most))}
        scaling["fallback"] = fallback
    beside = {"throughput": draw(st.sampled_from([None, 10.0])), "scaling": scaling}
    return PoolSpec.parse({"scaleTargetRef": {"name": "asr-worker"}, **beside})


@st.composite
def queues(draw: st.DrawFn) -> QueueObservation:
    delayed = draw(st.integers(0, 3))
    due = draw(st.integers(0, delayed))
    arrivals = draw(st.lists(st.tuples(moments, counts, absurd), max_size=3))
    return QueueObservation(
        signal=draw(st.sampled_from([Signal.OK, *Signal])),
        trusted=draw(st.sampled_from([True, True, False])),
        waiting=draw(st.sampled_from([0, 0, 1, 7, 500, 10**9])) + due,
        in_flight=draw(st.integers(0, 60)),
        delayed=delayed,
        delayed_due=due,
        oldest_wait_seconds=draw(absurd),
        audio_seconds=draw(absurd),
        arrivals=tuple(Arrivals(*each) for each in arrivals),
    )


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    states = draw(st.lists(st.sampled_from(list(PodState)), max_size=12))
    started = st.sampled_from([None, 0.0, 20.0, math.inf])
    pods = [
        PodObservation(f"pod-{n}", state, draw(st.floats(0, 1e4)), draw(started), draw(templates))
        for n, state in enumerate(states)
    ]
    workers = []
    for pod in pods:
        if pod.state is PodState.READY and draw(st.sampled_from([True, True, True, False])):
            busy, left = draw(st.integers(0, 2)), draw(absurd)
            worker = WorkerObservation(f"{pod.name}.x", pod.name, busy, 1, left, draw(absurd), 3.0)
            workers.append(replace(worker, cordoned=draw(st.booleans())))
    alive = sum(state is not PodState.TERMINATING for state in states)
    return Observation(
        now=NOW,
        queue=draw(queues()),
        replicas=max(0, alive + draw(st.integers(-2, 2))),
        workers=tuple(workers),
        pods=tuple(pods),
        written=draw(st.sampled_from([None, None, 4])),
        template=draw(templates),
        model=draw(st.sampled_from(["", "iic/SenseVoiceSmall"])),
        gpu=draw(st.booleans()),
        measurements=draw(measurements),
        hold=draw(st.sampled_from([None, None, None, Hold("Conflict", "OlderPool", "older")])),
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    if draw(st.booleans()):
        return History()
    since = draw(moments)
    return History(
        at=NOW - 2,
        watching_since=since,
        highs=(Desire(since, draw(counts)),),
        lows=(Desire(since, draw(counts)),),
        signal_lost_at=draw(st.sampled_from([None, NOW - 400])),
        measurements=draw(measurements),
        capacity_retry_at=draw(st.sampled_from([None, NOW - 1, NOW + 100])),
        foreign_replicas=draw(st.sampled_from([None, 4])),
        last_conflict_at=draw(st.sampled_from([None, NOW - 30])),
        conflicts=draw(st.integers(0, 10)),
    )


everything = given(specs(), observations(), histories())
thorough = settings(max_examples=60, deadline=None)


@thorough
@everything
def test_a_busy_worker_is_never_too_many(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    alive = {pod.name for pod in observation.pods if pod.state is not PodState.TERMINATING}
    busy = {worker.pod for worker in observation.workers if worker.busy and worker.pod in alive}
    assert plan(spec, observation, history).replicas >= min(observation.replicas, len(busy))


@thorough
@everything
def test_no_busy_worker_is_cordoned_while_an_idle_one_claims_on(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    cordon = set(plan(spec, observation, history).cordon)
    if any(worker.busy for worker in observation.workers if worker.consumer in cordon):
        assert all(worker.consumer in cordon for worker in observation.workers if not worker.busy)


@thorough
@everything
def test_no_step_is_larger_than_allowed(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    step = spec.scaling.max_step
    assert -step.down <= plan(spec, observation, history).replicas - observation.replicas <= step.up


@thorough
@everything
def test_between_minimum_and_maximum_it_stays(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    least, most = spec.scaling.min_replicas, spec.scaling.max_replicas
    decided = plan(spec, observation, history)
    assert decided.desired >= 0
    if decided.reason not in (Reason.PAUSED, Reason.FALLBACK):
        assert decided.replicas <= max(observation.replicas, most)
        assert decided.replicas >= min(observation.replicas, least)


@thorough
@everything
def test_an_error_of_the_signal_moves_nothing(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    observation = replace(observation, queue=QueueObservation.unreachable("away"))
    decided = plan(spec, observation, history)
    if decided.reason is Reason.HOLD_SIGNAL:
        assert decided.replicas == observation.replicas
    assert decided.replicas >= observation.replicas
    assert decided.cordon == ()


@thorough
@everything
def test_zero_only_when_nothing_is_open(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    decided = plan(spec, observation, history)
    if decided.replicas == 0 < observation.replicas and decided.reason is Reason.SCALE_DOWN:
        queue = observation.queue
        assert (queue.waiting, queue.in_flight, queue.delayed) == (0, 0, 0)


@thorough
@everything
def test_at_zero_a_waiting_task_wakes_somebody(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    if observation.queue.signal is Signal.UNREACHABLE or observation.queue.waiting == 0:
        return
    observation = replace(observation, replicas=0, pods=(), workers=(), written=None)
    decided = plan(spec, observation, history)
    if decided.reason not in (Reason.PAUSED, Reason.HOLD_CONFLICT):
        assert decided.replicas >= 1


@thorough
@given(specs(), observations())
def test_a_restart_takes_nobody(spec: PoolSpec, observation: Observation) -> None:
    """But what the user says: a pause at a number, no window at all, pods given up."""
    if spec.scaling.stabilization_seconds.down == 0 or spec.scaling.paused:
        return
    observation = replace(
        observation,
        pods=tuple(p for p in observation.pods if p.state is not PodState.UNSCHEDULABLE),
    )
    assert plan(spec, observation, History()).replicas >= observation.replicas


@thorough
@given(specs(), observations(), histories(), st.integers(0, 10**6), st.floats(0, 1e7))
def test_more_backlog_never_asks_for_fewer(
    spec: PoolSpec, observation: Observation, history: History, tasks: int, audio: float
) -> None:
    queue = observation.queue
    before = audio_of(queue)
    more = replace(queue, waiting=queue.waiting + tasks, audio_seconds=before + audio * (tasks > 0))
    observation = replace(observation, queue=replace(queue, audio_seconds=before))
    # A larger queue is what makes a slow figure of the workers credible: not what is meant here.
    measured = tuple(replace(worker, throughput=0.0) for worker in observation.workers)
    observation = replace(observation, workers=measured)
    less = plan(spec, observation, history).desired
    assert plan(spec, replace(observation, queue=more), history).desired >= less


def audio_of(queue: QueueObservation) -> float:
    return queue.audio_seconds if 0 <= queue.audio_seconds < 1e9 else 0.0


@thorough
@everything
def test_it_is_made_of_numbers_that_can_be_written(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    decided = plan(spec, observation, history)
    assert math.isfinite(decided.throughput)
    assert math.isfinite(decided.startup_seconds)
    assert all(0 <= cost < 2**31 for _, cost in decided.deletion_costs)
    texts = [decided.message, *(each.message for each in decided.conditions)]
    assert not any(re.search(r"\b(nan|inf)\b", text) for text in texts), texts
    assert len({each.type for each in decided.conditions}) == len(decided.conditions) == 9


@thorough
@everything
def test_the_same_again_is_decided_the_same(
    spec: PoolSpec, observation: Observation, history: History
) -> None:
    assert plan(spec, observation, history) == plan(spec, observation, history)


@thorough
@given(specs(), st.lists(observations(), min_size=1, max_size=6), st.floats(1, 400))
def test_it_goes_on_from_whatever_it_remembers(
    spec: PoolSpec, observations: list[Observation], seconds: float
) -> None:
    history = History()
    for n, observation in enumerate(observations):
        decided = plan(spec, replace(observation, now=NOW + n * seconds), history)
        history = decided.history
        assert decided.replicas >= 0
    assert len(history.highs) <= len(observations)

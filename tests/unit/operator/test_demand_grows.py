"""More that waits never asks for fewer workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from asr_operator.planning.demand import fleet_of, load_of, workers_for
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
NOW = 1000.0
ages = st.sampled_from([0.0, 5.0, 30.0, 60.0, 1000.0])
seconds = st.one_of(st.sampled_from([0.0, 1.0, 60.0, 600.0, 1800.0]), st.floats(0, 1e5))


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Queues that fit a cluster of up to eight pods, some of an older template, some silent."""
    pods, workers = [], []
    for name in map(str, range(draw(st.integers(0, 8)))):
        state = draw(st.sampled_from([PodState.READY] * 4 + list(PodState)))
        template = draw(st.sampled_from(["", "old"]))
        pods.append(PodObservation(name, state, draw(st.floats(0, 600)), template=template))
        if state is PodState.READY:
            left = draw(st.sampled_from([0.0, 0.0, 30.0, 600.0]))
            workers.append(WorkerObservation(name, name, draw(st.integers(0, 2)), 1, left))
    buckets = draw(st.lists(st.integers(0, 29), max_size=4, unique=True))
    tasks = st.integers(0, 4)
    queue = QueueObservation(
        waiting=draw(st.integers(0, 30)),
        in_flight=sum(worker.busy for worker in workers) + draw(st.integers(0, 2)),
        delayed=draw(st.integers(0, 2)),
        oldest_wait_seconds=draw(ages),
        audio_seconds=draw(seconds),
        arrivals=tuple(
            Arrivals(NOW - 10.0 * bucket - 5, draw(tasks), draw(seconds))
            for bucket in sorted(buckets, reverse=True)
        ),
    )
    replicas = max(0, len(pods) + draw(st.integers(-1, 1)))
    return Observation(NOW, queue, replicas, tuple(workers), tuple(pods))


def asked(seen: Observation, throughput: Throughput, target: float) -> int:
    load = load_of(seen, throughput)
    workers = fleet_of(seen, throughput, load, poll_seconds=2.0)
    return workers_for(load, workers, target=target, startup=throughput.startup_seconds)


def with_more(seen: Observation, tasks: int, audio: float = 0.0) -> Observation:
    queue = seen.queue
    waiting, audio = queue.waiting + tasks, queue.audio_seconds + audio
    return replace(seen, queue=replace(queue, waiting=waiting, audio_seconds=audio))


def test_a_waiting_task_of_unknown_audio_asks_for_no_fewer_workers(see: See) -> None:
    """It is given most of the open audio. By that the mean task grew, and the others seemed to
    start sooner: one worker fewer was asked for."""
    arrivals = (Arrivals(NOW - 5, 2, 2.0),)
    seen = see(5, busy=5, waiting=2, in_flight=0, audio_seconds=1800.0, arrivals=arrivals)
    slow = Throughput(per_pod=1.0, startup_seconds=0.0, source="", by_template={}, measurements=())
    assert asked(seen, slow, 1.0) == 7
    assert asked(with_more(seen, 1), slow, 1.0) == 8


@settings(max_examples=100, deadline=None)
@given(
    observations(),
    st.sampled_from([1.0, 10.0, 100.0]),
    st.sampled_from([0.0, 10.0, 30.0, 600.0]),
    st.sampled_from([1.0, 10.0, 60.0, 300.0]),
    st.sampled_from([0.1, 1.0, 3.0]),
    st.integers(0, 100),
    seconds,
)
def test_more_that_waits_never_asks_for_fewer_workers(
    seen: Observation,
    speed: float,
    startup: float,
    target: float,
    old: float,
    tasks: int,
    audio: float,
) -> None:
    """More tasks, more audio, or both; 30,000 examples hold."""
    throughput = Throughput(speed, startup, "", {"": speed, "old": old * speed}, ())
    before = asked(seen, throughput, target)
    for more in (with_more(seen, tasks), with_more(seen, 0, audio), with_more(seen, tasks, audio)):
        assert asked(more, throughput, target) >= before

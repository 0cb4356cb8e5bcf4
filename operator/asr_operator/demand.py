"""How many workers the work asks for. Pure; time is in seconds, work in seconds of one worker.

Two questions, both about what *waits* (what is in flight is being served):

- Steady: as many workers as start it within `target - startup/3`. While tasks arrive faster than
  they are served the queue grows, and one more is asked for. A queue of that length is no fault: it
  is what keeps workers from being idle. A tenth of a start-up's arrivals is added, since they are
  there before a new worker is.
- Burst: what the present workers will not have done when a new one is ready must be started in
  what is left of the target then. A start-up that eats the target leaves half of it, so that the
  answer stays finite: 58 s of start-up under a target of 60 s ask for one worker, not for 89.

The task that waits last begins when one worker is free, not when all are: with several workers
that saves up to a task's time, half of it where all begin at once. More workers than tasks are of
no use. Workers that are present, starting ones included, are kept while the work that waits needs
them to start in time, given how long its oldest task has waited already.

The constants were chosen with `asr simulate`: docs/autoscaling.md has the numbers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import ceil

from asr_operator.observation import Observation, PodState
from asr_operator.pace import Pace, clean

MOST_WORKERS = 1_000_000
_RATE_SECONDS = 120.0  # over which arrivals are averaged
_LEAD = 0.1  # of a start-up
_LATE = 1 / 3  # of a start-up
_LEAST_OF_TARGET = 0.25


@dataclass(frozen=True)
class Load:
    """What waits and what runs, in seconds of one worker.

    `work` is that of the waiting tasks, `left` what a busy pod has left on the average, `rate` the
    work that arrives per second, `task` that of one recent task on the average.
    """

    waiting: int
    work: float
    left: float
    rate: float
    task: float
    oldest_seconds: float
    busy_pods: int


@dataclass(frozen=True)
class Fleet:
    """`present` replicas, of which `ready` work; `ages` are those of the pods that start."""

    present: int
    ready: int
    ages: tuple[float, ...]


def load_of(seen: Observation, pace: Pace) -> Load:
    """`pace.throughput` must be known.

    The queue counts the audio of all open tasks. What waits of it is estimated by the number of
    tasks, and is never more than what the workers do not have left in hand.
    """
    queue, speed = seen.queue, pace.throughput
    left: dict[str, float] = defaultdict(float)
    for worker in seen.workers:
        if worker.busy > 0:
            left[worker.pod] += clean(worker.in_flight_seconds)
    in_hand, audio = sum(left.values()), clean(queue.audio_seconds)
    waiting = max(0, queue.waiting)
    others = max(0, queue.in_flight) + max(0, queue.delayed - queue.delayed_due)
    share = waiting / (waiting + others) if waiting else 0.0
    waits = min(audio * share, max(0.0, audio - in_hand))
    recent = sum(clean(a.audio_seconds) for a in queue.arrivals if a.at > seen.now - _RATE_SECONDS)
    tasks = sum(max(0, a.tasks) for a in queue.arrivals)
    arrived = sum(clean(a.audio_seconds) for a in queue.arrivals)
    return Load(
        waiting=waiting,
        work=clean(waits / speed),
        left=clean(in_hand / len(left) / speed) if left else 0.0,
        rate=clean(recent / _RATE_SECONDS / speed),
        task=clean(arrived / tasks / speed) if tasks else 0.0,
        oldest_seconds=clean(queue.oldest_wait_seconds),
        busy_pods=len(left),
    )


def fleet_of(seen: Observation) -> Fleet:
    """Pods that have no node, or are not there yet, are present and neither ready nor starting."""
    starting = tuple(clean(p.age_seconds) for p in seen.pods if p.state is PodState.STARTING)
    return Fleet(max(0, seen.replicas), seen.ready, starting)


def workers_for(load: Load, fleet: Fleet, *, target: float, startup: float) -> int:
    """At least one while a task waits; `target` and `startup` in seconds."""
    if load.waiting == 0:
        return 0
    spare = load.task * (1 - 1 / fleet.present) if fleet.present > 1 else 0.0
    serve = max(target - _LATE * startup, target / 2)
    steady = load.work / (serve + spare) + _LEAD * startup * load.rate / serve
    wanted = max(1, _whole(steady))
    until_ready = fleet.ready * startup + sum(min(age, startup) for age in fleet.ages)
    excess = load.work + load.left - until_ready
    burst = _whole(excess / (max(target - startup, target / 2) + spare / 2))
    if burst > fleet.present:
        wanted = max(wanted, burst)
    wanted = min(wanted, load.waiting + load.busy_pods)
    if wanted < fleet.present:
        remaining = max(target - load.oldest_seconds, _LEAST_OF_TARGET * target)
        wanted = max(wanted, min(fleet.present, _whole(load.work / remaining)))
    return wanted


def _whole(workers: float) -> int:
    return ceil(min(workers, MOST_WORKERS))

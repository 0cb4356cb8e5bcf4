"""How many workers the work asks for. Pure; time is in seconds, work in seconds of one worker.

The queue is served in order, so that the time at which each waiting task begins can be projected:
the workers are free at some time each, a new one after a start-up, and what waits is worked off by
those that are free. As few workers are asked for as begin everything in time:

- A task is to begin within the target, counted from its arrival; its age is that of the ten seconds
  in which it was submitted. While a worker starts, tasks go on arriving that it was not asked for:
  the slower the start beside the target, the more of the target is kept free for them.
- A new worker helps nobody before it has started. What could not begin in time any more is to begin
  within some half of the target from then on, so that the answer stays finite.
- All that waits is to be worked off within the target, or less for several workers whose arrivals
  go on while another one starts. A queue of that length is what keeps workers from being idle.
  Where a start takes about the target or longer, a part of what arrives meanwhile is added.
- Fewer workers than there are would have to begin everything in time as well.

How long the last of the waiting tasks is, is not known; most of an average one is reckoned to come
before it. It begins when one worker is free, not when all are: with several workers that saves up
to a task's time. More workers than tasks are of no use.

The constants were chosen with `asr simulate`: docs/autoscaling.md has the numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from asr_operator.planning.observation import Observation, PodState, QueueSeen
from asr_operator.planning.spec import MOST_REPLICAS
from asr_operator.planning.throughput import Throughput, clean

_BUCKET_SECONDS = 10.0
_BEAT_AGE_SECONDS = 5.0  # of a heartbeat, on the average
_SLOW_START = 1.21  # start-ups vary: a new worker is reckoned with after so many of them
_KEPT_FREE = 0.6  # of the target, times the square of start-up over target
_STEADY_KEPT_FREE = 0.7  # of the target, times start-up over target, for many workers
_LEAST_OF_TARGET = 0.5
_LATE_WITHIN = 0.44  # of the target
_LEAD = 0.2  # of what arrives during a start-up that takes as long as the target
_RATE_SECONDS = 120.0  # over which arrivals are averaged
_STAGGERED = 0.7  # of a task's time
_LAST = 0.8  # of the last task's time
_MOST_UNHEARD = 3.0  # tasks


@dataclass(frozen=True)
class Group:
    """Waiting tasks of about one age: `tasks` of together `work`, from `oldest` to `newest`."""

    tasks: int
    work: float
    oldest: float
    newest: float


@dataclass(frozen=True)
class Load:
    """What waits, the oldest first; `task` is the work of one task on the average.

    `unheard` is the work in hand that no heartbeat told of yet, `rate` the work that arrives per
    second.
    """

    groups: tuple[Group, ...] = ()
    task: float = 0.0
    unheard: float = 0.0
    rate: float = 0.0

    @property
    def waiting(self) -> int:
        return sum(group.tasks for group in self.groups)

    @property
    def work(self) -> float:
        return sum(group.work for group in self.groups)


@dataclass(frozen=True)
class Fleet:
    """`(free_in, speed)` of every replica, the soonest first; speed 1 is that of a new worker.

    `busy` of them have a task. `new_in` is when one that is asked for now can work.
    """

    workers: tuple[tuple[float, float], ...]
    busy: int
    new_in: float


def load_of(seen: Observation, pace: Throughput) -> Load:
    """The queue is served in order: what waits is what was submitted last.

    Tasks that the counts of arrivals do not reach back to share what audio is left with those in
    hand. The audio that is open is all there is, whatever the counts say.
    """
    queue, speed = seen.queue, pace.throughput
    groups, left = _newest(queue, seen.now, max(0, queue.waiting))
    audio, known = clean(queue.audio_seconds), sum(group.work for group in groups)
    if left:
        others = max(0, queue.in_flight) + max(0, queue.delayed - queue.delayed_due)
        rest = max(0.0, audio - known) * left / (left + others)
        newest = groups[0].oldest if groups else 0.0
        groups = [Group(left, rest, clean(queue.oldest_wait_seconds), newest), *groups]
        known += rest
    real = min(1.0, audio / known) / speed if known > 0 else 0.0
    oldest = clean(queue.oldest_wait_seconds)
    recent = [each for each in queue.arrivals if each.at > seen.now - _RATE_SECONDS]
    told = sum(clean(worker.in_flight_seconds) for worker in seen.workers)
    return Load(
        groups=tuple(
            Group(g.tasks, clean(g.work * real), min(g.oldest, oldest), min(g.newest, oldest))
            for g in groups
        ),
        task=clean(known * real / max(1, queue.waiting)),
        unheard=clean(max(0.0, audio - min(known, audio) - told) / speed),
        rate=clean(sum(clean(each.audio_seconds) for each in recent) / _RATE_SECONDS / speed),
    )


def _newest(queue: QueueSeen, now: float, tasks: int) -> tuple[list[Group], int]:
    """The last so many arrivals, and how many are older than all that is counted.

    `work` is audio still.
    """
    groups: list[Group] = []
    for each in reversed(queue.arrivals):
        taken = min(max(0, each.tasks), tasks)
        if taken:
            audio = clean(each.audio_seconds) * taken / each.tasks
            age = clean(now - each.at)
            groups.append(Group(taken, audio, age, max(0.0, age - _BUCKET_SECONDS)))
            tasks -= taken
    return groups[::-1], tasks


def fleet_of(seen: Observation, pace: Throughput, load: Load, *, poll_seconds: float) -> Fleet:
    """Pods that have no node, or are not there yet, are as far as one that is asked for now.

    A worker takes the next task when it has done one of those in hand. A heartbeat is up to ten
    seconds old: a busy worker that tells of no work has just begun, and has its share of the work
    that no heartbeat tells of.
    """
    new_in = poll_seconds + _SLOW_START * pace.startup_seconds
    holds: dict[str, float] = defaultdict(float)
    tasks: dict[str, int] = defaultdict(int)
    for worker in seen.workers:
        if worker.busy > 0:
            holds[worker.pod] += clean(worker.in_flight_seconds)
            tasks[worker.pod] += worker.busy
    silent = sum(audio == 0 for audio in holds.values())
    share = min(load.unheard / silent, _MOST_UNHEARD * load.task) if silent else 0.0
    workers = []
    for pod in seen.pods:
        speed = pace.speeds.get(pod.template, pace.throughput) / pace.throughput
        if pod.state is PodState.READY:
            in_hand = holds.get(pod.name, 0.0) / pace.throughput or share * (pod.name in holds)
            free_in = in_hand / speed / max(1, tasks[pod.name]) - _BEAT_AGE_SECONDS
            workers.append((clean(free_in), speed))
        elif pod.state is PodState.STARTING:
            left = max(new_in - clean(pod.age_seconds), 0.1 * pace.startup_seconds)
            workers.append((left, speed))
    replicas = max(0, seen.replicas)
    workers = sorted(workers)[:replicas] + [(new_in, 1.0)] * (replicas - len(workers))
    return Fleet(tuple(sorted(workers)), len(holds), new_in)


def workers_for(load: Load, fleet: Fleet, *, target: float, startup: float) -> int:
    """At least one while a task waits; `target` and `startup` in seconds."""
    if load.waiting == 0:
        return 0
    fewest, enough = 0, min(load.waiting + fleet.busy, MOST_REPLICAS)
    while enough - fewest > 1:
        count = (fewest + enough) // 2
        if _serves(count, load, fleet, target, startup / target):
            enough = count
        else:
            fewest = count
    return enough


def _serves(count: int, load: Load, fleet: Fleet, target: float, slowness: float) -> bool:
    """Whether so many workers begin all that waits in time; `slowness` is start-up over target."""
    present = len(fleet.workers)
    workers = [*fleet.workers[:count]]
    if count > present:
        workers = sorted([*workers, (fleet.new_in, float(count - present))])
    others = 1 - 1 / count
    staggered = _STAGGERED * load.task * others
    steady = target * max(1 - _STEADY_KEPT_FREE * slowness * others, _LEAST_OF_TARGET)
    arriving = _LEAD * fleet.new_in * load.rate * min(max(3 * slowness - 2, 0.0), 1.0)
    if (load.work + arriving) / sum(speed for _, speed in workers) - staggered > steady:
        return False
    within = target * max(1 - _KEPT_FREE * slowness**2, _LEAST_OF_TARGET)
    soonest = fleet.new_in + _LATE_WITHIN * target if count >= present else 0.0
    before = 0.0
    for group in load.groups:
        after = before + group.work
        last = after - (1 - _LAST) * group.work / group.tasks
        for work, age in ((before, group.oldest), (last, group.newest)):
            if _begun(workers, work) - staggered > max(within - age, soonest):
                return False
        before = after
    return True


def _begun(workers: Sequence[tuple[float, float]], work: float) -> float:
    """When so much work is begun by workers that are free from some time on, the soonest first."""
    now = speed = 0.0
    for free_in, more in workers:
        if speed > 0 and work <= (free_in - now) * speed:
            break
        work -= max(0.0, free_in - now) * speed
        now, speed = max(now, free_in), speed + more
    return now + max(0.0, work) / speed if speed > 0 else inf

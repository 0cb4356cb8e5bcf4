"""How many workers the work asks for. Pure; time is in seconds, work in seconds of one worker.

The queue is first in, first out, so the start of each waiting task can be projected: every worker
becomes free at a known time (a new one after its start-up) and takes the next task then. The result
is the smallest number of workers that meets all of these:

- Each task starts within the target, counted from its arrival. Arrivals are known in buckets of ten
  seconds. More tasks arrive while a worker starts, so a part of the target is reserved for them:
  the longer the start-up compared with the target, the larger that part.
- A new worker does nothing before it has started. Tasks that can no longer start in time must start
  within about half of the target after that, which keeps the number finite.
- The whole backlog is completed within the target; within less for several workers, since tasks
  arrive while another one starts. A backlog of this length keeps the workers from being idle. If a
  start-up takes about the target or longer, a part of the work that arrives meanwhile is added.
- The same limits hold for a number below the current one.

The length of the last waiting task is unknown; most of an average one is assumed to precede it. It
starts when one worker is free, not when all are: with several workers that saves up to one task's
time, that of the tasks before it. There are never more workers than tasks.

More waiting tasks or more audio never ask for fewer workers. So what a busy worker still has to do
must not depend on what waits, and a task's start is never sooner for work that is added before it.

The constants were chosen with `asr simulate`: docs/autoscaling.md has the numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from asr_operator.planning.observation import Arrivals, Observation, PodState, QueueObservation
from asr_operator.planning.spec import MOST_REPLICAS
from asr_operator.planning.throughput import Throughput, clean

_BUCKET_SECONDS = 10.0
_HEARTBEAT_AGE_SECONDS = 5.0  # mean age of a heartbeat
_SLOW_START = 1.21  # start-ups vary: a new worker is expected after this multiple
_RESERVED = 0.7  # of the target, times the square of start-up over target
_STEADY_RESERVED = 0.7  # of the target, times start-up over target, for many workers
_LEAST_OF_TARGET = 0.5
_LATE_WITHIN = 0.44  # of the target
_LEAD = 0.2  # of what arrives during a start-up that takes as long as the target
_RATE_SECONDS = 120.0  # over which arrivals are averaged
_STAGGERED = 0.65  # of a task's time
_LAST = 0.9  # of the last task's time
_SEEN = 1.5  # a task that is seen in work is longer than the mean: long ones are seen oftener


@dataclass(frozen=True)
class Group:
    """Waiting tasks of similar age: their number, total work, and the ages of oldest and newest."""

    tasks: int
    work: float
    oldest: float
    newest: float


@dataclass(frozen=True)
class Load:
    """Waiting work, oldest first; `rate` is the work that arrives per second.

    `task` is the mean work of the tasks that arrived lately, 0 if none did.
    """

    groups: tuple[Group, ...] = ()
    task: float = 0.0
    rate: float = 0.0

    @property
    def waiting(self) -> int:
        return sum(group.tasks for group in self.groups)

    @property
    def work(self) -> float:
        return sum(group.work for group in self.groups)


@dataclass(frozen=True)
class Fleet:
    """`(free_in, speed)` of every replica, the soonest first; a new worker has speed 1.

    `busy` replicas have a task. A replica that is added now is ready in `new_in` seconds.
    """

    workers: tuple[tuple[float, float], ...]
    busy: int
    new_in: float


def load_of(observation: Observation, throughput: Throughput) -> Load:
    """The waiting tasks are the latest arrivals, because the queue is first in, first out.

    Tasks older than the counted arrivals share the remaining audio with those in flight. The total
    is limited to the open audio, whatever the counts add up to.
    """
    queue, speed = observation.queue, throughput.per_pod
    groups, left = _newest(queue, observation.now, max(0, queue.waiting))
    audio, known = clean(queue.audio_seconds), sum(group.work for group in groups)
    if left:
        others = max(0, queue.in_flight) + max(0, queue.delayed - queue.delayed_due)
        rest = max(0.0, audio - known) * left / (left + others)
        newest = groups[0].oldest if groups else 0.0
        groups = [Group(left, rest, clean(queue.oldest_wait_seconds), newest), *groups]
        known += rest
    real = min(1.0, audio / known) / speed if known > 0 else 0.0
    oldest = clean(queue.oldest_wait_seconds)
    recent = [each for each in queue.arrivals if each.at > observation.now - _RATE_SECONDS]
    arrived = sum(max(0, each.tasks) for each in queue.arrivals)
    return Load(
        groups=tuple(
            Group(g.tasks, clean(g.work * real), min(g.oldest, oldest), min(g.newest, oldest))
            for g in groups
        ),
        task=clean(_audio(queue.arrivals) / max(1, arrived) / speed),
        rate=clean(_audio(recent) / _RATE_SECONDS / speed),
    )


def _audio(arrivals: Iterable[Arrivals]) -> float:
    return sum(clean(each.audio_seconds) for each in arrivals)


def _newest(queue: QueueObservation, now: float, tasks: int) -> tuple[list[Group], int]:
    """The latest `tasks` arrivals, and how many tasks are older than the counted arrivals.

    `work` of these groups is in audio-seconds.
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


def fleet_of(
    observation: Observation, throughput: Throughput, load: Load, *, poll_seconds: float
) -> Fleet:
    """Pods that are unscheduled or not created yet count like a replica that is added now.

    A worker takes the next task when it has completed one of those in flight. A heartbeat is up to
    ten seconds old: a busy worker that reports no work has just started one.
    """
    new_in = poll_seconds + _SLOW_START * throughput.startup_seconds
    in_flight_audio: dict[str, float] = defaultdict(float)
    tasks: dict[str, int] = defaultdict(int)
    for worker in observation.workers:
        if worker.busy > 0:
            in_flight_audio[worker.pod] += clean(worker.in_flight_seconds)
            tasks[worker.pod] += worker.busy
    workers = []
    for pod in observation.pods:
        speed = throughput.by_template.get(pod.template, throughput.per_pod) / throughput.per_pod
        if pod.state is PodState.READY:
            first = 0.0
            if busy := tasks[pod.name]:
                reported = in_flight_audio[pod.name] / throughput.per_pod / busy
                first = reported or _SEEN * load.task
            workers.append((clean(first / speed - _HEARTBEAT_AGE_SECONDS), speed))
        elif pod.state is PodState.STARTING:
            started = clean(pod.age_seconds - pod.fetch_seconds)
            left = max(new_in - started, 0.1 * throughput.startup_seconds)
            workers.append((left, speed))
    replicas = max(0, observation.replicas)
    workers = sorted(workers)[:replicas] + [(new_in, 1.0)] * (replicas - len(workers))
    return Fleet(tuple(sorted(workers)), len(in_flight_audio), new_in)


def workers_for(load: Load, fleet: Fleet, *, target: float, startup: float) -> int:
    """At least one while a task waits; `target` and `startup` in seconds."""
    if load.waiting == 0:
        return 0
    fewest, enough = 0, MOST_REPLICAS
    while enough - fewest > 1:
        count = (fewest + enough) // 2
        if _meets_target(count, load, fleet, target, startup / target):
            enough = count
        else:
            fewest = count
    return min(enough, load.waiting + fleet.busy)


def _meets_target(count: int, load: Load, fleet: Fleet, target: float, slowness: float) -> bool:
    """Whether `count` workers start all tasks in time; `slowness` is start-up over target."""
    present = len(fleet.workers)
    workers = [*fleet.workers[:count]]
    if count > present:
        workers = sorted([*workers, (fleet.new_in, float(count - present))])
    speed, others = sum(speed for _, speed in workers), 1 - 1 / count

    def saved(work: float, tasks: float) -> float:
        """Seconds by which one worker is free before all have completed these tasks."""
        return _STAGGERED * others * min(work / max(1.0, tasks), work / speed)

    steady = target * max(1 - _STEADY_RESERVED * slowness * others, _LEAST_OF_TARGET)
    arriving = _LEAD * fleet.new_in * load.rate * min(max(3 * slowness - 2, 0.0), 1.0)
    work = load.work + arriving
    if work / speed - saved(work, load.waiting) > steady:
        return False
    within = target * max(1 - _RESERVED * slowness**2, _LEAST_OF_TARGET)
    soonest = fleet.new_in + _LATE_WITHIN * target if count >= present else 0.0
    before, tasks = 0.0, 0
    for group in load.groups:
        after = before + group.work
        last = after - (1 - _LAST) * group.work / group.tasks
        for work, ahead, age in (
            (before, tasks, group.oldest),
            (last, tasks + group.tasks - (1 - _LAST), group.newest),
        ):
            if _started_in(workers, work) - saved(work, ahead) > max(within - age, soonest):
                return False
        before, tasks = after, tasks + group.tasks
    return True


def _started_in(workers: Sequence[tuple[float, float]], work: float) -> float:
    """Seconds until `work` has been started; `workers` are sorted by when they are free."""
    now = speed = 0.0
    for free_in, more in workers:
        if speed > 0 and work <= (free_in - now) * speed:
            break
        work -= max(0.0, free_in - now) * speed
        now, speed = max(now, free_in), speed + more
    return now + max(0.0, work) / speed if speed > 0 else inf

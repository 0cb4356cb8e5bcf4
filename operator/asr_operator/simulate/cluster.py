"""Discrete-event model of a cluster: a FIFO queue, pods with a start-up time, GPUs, and faults.

A worker transcribes one task after another at its throughput; a task's wait ends when the run
that completes it starts. A pod uses (and is billed for) a GPU from being scheduled until it is
deleted. Replicas are removed as the ReplicaSet controller does it: unscheduled, starting, then by
deletion cost, then the youngest
(https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down-a-replicaset).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from math import inf
from typing import Protocol

from asr_operator.simulate.model import (
    LEASE_SECONDS,
    ClusterModel,
    Decision,
    Faults,
    Pod,
    Sample,
)
from asr_operator.simulate.trace import Trace

_GIVE_UP_SECONDS = 3600.0  # after the end of the trace: a policy may kill a long task forever
_READY, _DONE, _REQUEUE, _OUTAGE, _WAKE, _RESTART, _CHANGE = range(7)


class Policy(Protocol):
    """An autoscaler: `decide` is called every `period_seconds`, `restart` resets its memory."""

    name: str
    period_seconds: float

    def decide(self, cluster: Cluster) -> Decision: ...

    def restart(self, cluster: Cluster) -> None: ...


class Cluster:
    """The state that policies read, and the event loop that changes it."""

    def __init__(self, trace: Trace, model: ClusterModel, faults: Faults | None = None) -> None:
        self.trace, self.model, self.faults = trace, model, faults or Faults()
        self.now = 0.0
        self.replicas = 0
        self.pods: list[Pod] = []
        self.queue: deque[int] = deque()
        self.waiting_audio = 0.0
        self.in_flight = 0
        self.done = 0
        self.accepted = 0  # tasks of the trace that the queue has taken so far
        self.outage_until = -inf
        self.redis_since = -inf
        self.concurrency_seconds = 0.0
        self.starts = [inf] * len(trace)
        self.queued_at = list(trace.arrivals)
        self.killed = 0
        self.billed = 0.0
        self.busy_seconds = 0.0
        self.changes: list[tuple[float, int]] = []
        self.samples: list[Sample] = []
        self._idle: deque[Pod] = deque()
        self._terminating: list[Pod] = []
        self._events: list[tuple[float, int, int, Pod | None, int, float]] = []
        self._serial = 0
        self._random = random.Random(model.seed)

    # state for policies

    @property
    def waiting(self) -> int:
        return len(self.queue)

    @property
    def ready(self) -> int:
        return sum(pod.ready_at <= self.now for pod in self.pods)

    @property
    def redis_down(self) -> bool:
        return self.now < self.outage_until

    @property
    def oldest_wait_seconds(self) -> float:
        """Wait of the first task in the queue."""
        return self.now - self.queued_at[self.queue[0]] if self.queue else 0.0

    @property
    def working(self) -> Iterator[Pod]:
        """Pods with a task, including terminating ones."""
        return (pod for pod in (*self.pods, *self._terminating) if pod.task >= 0)

    # event loop

    def run(self, policy: Policy, *, sample_seconds: float = 0.0) -> None:
        """Runs until the trace has ended and every task is done, at most an hour longer."""
        for start, end in self.faults.outages:
            self._push(start, _OUTAGE, None, 0, end)
            self._push(end, _WAKE, None, 0)
        for restart in self.faults.restarts:
            self._push(restart, _RESTART, None, 0)
        if self.model.changed_at > 0:
            self._push(self.model.changed_at, _CHANGE, None, 0)
        arrivals, total = self.trace.arrivals, len(self.trace)
        next_tick, next_sample = 0.0, 0.0 if sample_seconds else inf
        while True:
            arrival = arrivals[self.accepted] if self.accepted < total else inf
            arrival = max(arrival, self.outage_until)
            event = self._events[0][0] if self._events else inf
            at = min(arrival, event, next_tick, next_sample)
            if at >= self.trace.seconds and (
                self.done == total or at >= self.trace.seconds + _GIVE_UP_SECONDS
            ):
                break
            self.concurrency_seconds += (len(self.queue) + self.in_flight) * (at - self.now)
            self.now = at
            if event <= at:
                self._handle_event(policy)
            elif arrival <= at:
                self._accept()
            elif next_tick <= at:
                self._apply(policy.decide(self))
                next_tick = at + policy.period_seconds
            else:
                self._sample()
                next_sample = at + sample_seconds
        self.now = max(self.now, self.trace.seconds)
        for pod in (*self.pods, *self._terminating):
            if pod.scheduled_at < inf:
                self.billed += self.now - pod.scheduled_at

    def _sample(self) -> None:
        self.samples.append(
            Sample(self.now, len(self.queue), self.in_flight, self.replicas, self.ready)
        )

    def _accept(self) -> None:
        task = self.accepted
        self.accepted += 1
        self.queued_at[task] = self.now
        self.queue.append(task)
        self.waiting_audio += self.trace.audio_seconds[task]
        self._assign()

    def _assign(self) -> None:
        """Idle pods claim tasks; none can while Redis is down."""
        if self.now < self.outage_until:
            return
        idle, queue = self._idle, self.queue
        while queue and idle:
            pod = idle.popleft()
            if pod.cordoned or pod.terminating or pod.task >= 0:
                continue
            task = queue.popleft()
            audio = self.trace.audio_seconds[task]
            self.waiting_audio = self.waiting_audio - audio if queue else 0.0
            self.starts[task] = self.now
            pod.task, pod.finish = task, self.now + audio / pod.throughput
            pod.run += 1
            self.in_flight += 1
            self._push(pod.finish, _DONE, pod, pod.run)

    def _push(self, at: float, kind: int, pod: Pod | None, number: int, until: float = 0.0) -> None:
        self._serial += 1
        heappush(self._events, (at, self._serial, kind, pod, number, until))

    def _handle_event(self, policy: Policy) -> None:
        _, _, kind, pod, number, until = heappop(self._events)
        if kind == _OUTAGE:
            self.outage_until = self.redis_since = until
        elif kind == _RESTART:
            policy.restart(self)
        elif kind == _CHANGE:
            self._roll_out()
        elif kind == _REQUEUE:
            self._requeue(number)
        elif pod is not None and kind == _READY and not pod.terminating:
            self._idle.append(pod)
        elif pod is not None and kind == _DONE and pod.run == number and pod.task >= 0:
            self.busy_seconds += self.trace.audio_seconds[pod.task] / pod.throughput
            self.in_flight -= 1
            self.done += 1
            pod.tasks_done += 1
            pod.task, pod.finish = -1, inf
            if pod.terminating:
                self._delete(pod)
            else:
                self._idle.append(pod)
        self._assign()

    # replicas

    def _apply(self, decision: Decision) -> None:
        for pod in self.pods:
            was, pod.cordoned = pod.cordoned, pod.name in decision.cordoned
            if was and not pod.cordoned and pod.ready_at <= self.now:
                self._idle.append(pod)
        change = decision.replicas - self.replicas
        if change:
            self.changes.append((self.now, decision.replicas))
            self.replicas = decision.replicas
        for _ in range(change):
            self._create()
        if change < 0:
            for pod in self._removal_order(decision.cost)[:-change]:
                self._remove(pod)
        self._schedule()
        self._assign()

    def _create(self) -> None:
        self._serial += 1
        throughput = self.model.throughput_at(self.now)
        self.pods.append(Pod(f"pod-{self._serial}", self.now, throughput=throughput))

    def _roll_out(self) -> None:
        """A rolling update: running tasks finish, and each pod is replaced at once."""
        for pod in tuple(self.pods):
            self.pods.remove(pod)
            pod.terminating = True
            if pod.scheduled_at < inf:
                self._terminating.append(pod)
                if pod.task < 0:
                    self._delete(pod)
            self._create()
        self._schedule()

    def _removal_order(self, cost: Mapping[str, int]) -> list[Pod]:
        def key(pod: Pod) -> tuple[bool, bool, int, float]:
            assigned = pod.scheduled_at < inf
            return assigned, pod.ready_at <= self.now, cost.get(pod.name, 0), -pod.created_at

        return sorted(self.pods, key=key)

    def _schedule(self) -> None:
        held = len(self._terminating) + sum(pod.scheduled_at < inf for pod in self.pods)
        for pod in self.pods:
            if pod.scheduled_at == inf and held < self.model.gpus:
                held += 1
                jitter = 1 + self.model.startup_jitter * self._random.uniform(-1, 1)
                pod.scheduled_at = self.now
                pod.ready_at = self.now + self.model.startup_seconds * jitter
                self._push(pod.ready_at, _READY, pod, 0)

    def _remove(self, pod: Pod) -> None:
        self.pods.remove(pod)
        pod.terminating = True
        if pod.scheduled_at == inf:
            return
        self._terminating.append(pod)
        if pod.task < 0:
            self._delete(pod)
        elif not self.model.drain or pod.finish - self.now > self.model.grace_seconds:
            self.killed += 1
            self.in_flight -= 1
            self.busy_seconds += self.now - self.starts[pod.task]
            self.starts[pod.task] = inf
            if self.model.drain:
                self._requeue(pod.task)
            else:
                self._push(self.now + LEASE_SECONDS, _REQUEUE, None, pod.task)
            pod.task, pod.finish = -1, inf
            self._delete(pod)

    def _requeue(self, task: int) -> None:
        self.queue.appendleft(task)
        self.waiting_audio += self.trace.audio_seconds[task]

    def _delete(self, pod: Pod) -> None:
        self._terminating.remove(pod)
        self.billed += self.now - pod.scheduled_at
        self._schedule()

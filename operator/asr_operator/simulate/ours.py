"""The operator's own plan, shown the cluster as the operator would see it.

Heartbeats are up to ten seconds old, throughput is known once a worker has measured it, and what a
restart loses is lost. What stands in the status (throughput, start-up, last replicas) is not.
"""

from __future__ import annotations

from collections import deque

from asr_operator.observation import (
    Arrivals,
    History,
    Observation,
    PodSeen,
    PodState,
    QueueSeen,
    WorkerSeen,
)
from asr_operator.plan import plan
from asr_operator.simulate.cluster import Cluster
from asr_operator.simulate.model import LEASE_SECONDS, Decision, Pod
from asr_operator.spec import PoolSpec

_BEAT_SECONDS, _BUCKET_SECONDS, _KEPT_SECONDS = 10.0, 10.0, 300.0


class Ours:
    """One WorkerPool."""

    name = "asr-platform"

    def __init__(self, spec: PoolSpec) -> None:
        self.period_seconds = spec.poll_interval_seconds
        self._spec = spec
        self._history = History()
        self._throughput = self._startup = 0.0
        self._written: int | None = None
        self._buckets: deque[Arrivals] = deque()
        self._counted = 0

    def restart(self, cluster: Cluster) -> None:
        """Forgets what the operator's process remembers."""
        self._history = History()

    def decide(self, cluster: Cluster) -> Decision:
        decided = plan(self._spec, self._look(cluster), self._history)
        self._history = decided.history
        self._throughput, self._startup = decided.throughput, decided.startup_seconds
        self._written = decided.replicas
        return Decision(decided.replicas, dict(decided.deletion_costs), frozenset(decided.cordon))

    def _look(self, cluster: Cluster) -> Observation:
        pods = cluster.pods
        return Observation(
            now=cluster.now,
            queue=QueueSeen.unreachable("outage") if cluster.redis_away else self._queue(cluster),
            replicas=cluster.replicas,
            workers=tuple(_worker(pod, cluster) for pod in pods if pod.ready_at <= cluster.now),
            pods=tuple(_pod(pod, cluster.now) for pod in pods),
            written=self._written,
            known_throughput=self._throughput,
            known_startup_seconds=self._startup,
        )

    def _queue(self, cluster: Cluster) -> QueueSeen:
        self._count(cluster)
        waiting, audio = cluster.waiting, cluster.trace.audio_seconds
        in_hand = sum(audio[pod.task] for pod in cluster.working)
        return QueueSeen(
            trusted=cluster.now - cluster.redis_since >= LEASE_SECONDS,
            waiting=waiting,
            in_flight=cluster.in_flight,
            oldest_wait_seconds=cluster.oldest_wait_seconds,
            audio_seconds=cluster.waiting_audio + in_hand,
            arrivals=tuple(self._buckets),
        )

    def _count(self, cluster: Cluster) -> None:
        """Arrivals in buckets of ten seconds, as Redis has them."""
        buckets = self._buckets
        for task in range(self._counted, cluster.accepted):
            at = cluster.queued_at[task] // _BUCKET_SECONDS * _BUCKET_SECONDS
            last = buckets.pop() if buckets and buckets[-1].at == at else Arrivals(at, 0, 0.0)
            audio = last.audio_seconds + cluster.trace.audio_seconds[task]
            buckets.append(Arrivals(at, last.tasks + 1, audio))
        self._counted = cluster.accepted
        while buckets and buckets[0].at < cluster.now - _KEPT_SECONDS:
            buckets.popleft()


def _worker(pod: Pod, cluster: Cluster) -> WorkerSeen:
    beat_at = cluster.now - (cluster.now - pod.ready_at) % _BEAT_SECONDS
    busy = pod.task >= 0
    left = pod.finish - beat_at if busy and cluster.starts[pod.task] <= beat_at else 0.0
    return WorkerSeen(
        consumer=pod.name,
        pod=pod.name,
        busy=int(busy),
        slots=1,
        in_flight_seconds=left * cluster.model.throughput,
        throughput=cluster.model.throughput if pod.tasks_done else 0.0,
        cordoned=pod.cordoned,
    )


def _pod(pod: Pod, now: float) -> PodSeen:
    state, startup = PodState.UNSCHEDULABLE, None
    if pod.ready_at <= now:
        state, startup = PodState.READY, pod.ready_at - pod.created_at
    elif pod.scheduled_at <= now:
        state = PodState.STARTING
    return PodSeen(pod.name, state, now - pod.created_at, startup)

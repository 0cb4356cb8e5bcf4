"""The operator's own plan, with the observations that the operator would have.

Heartbeats are up to ten seconds old, and throughput is known once a worker has measured it. A
restart loses the history but not what is in the status (throughput, start-up, last replicas).
"""

from __future__ import annotations

from collections import deque

from asr_operator.planning.observation import (
    Arrivals,
    History,
    Measurement,
    Observation,
    PodObservation,
    PodState,
    QueueObservation,
    WorkerObservation,
)
from asr_operator.planning.plan import plan
from asr_operator.planning.spec import PoolSpec
from asr_operator.simulate.cluster import Cluster
from asr_operator.simulate.model import LEASE_SECONDS, Decision, Pod

_BEAT_SECONDS, _BATCH_SECONDS, _BUCKET_SECONDS, _KEPT_SECONDS = 10.0, 5.0, 10.0, 300.0


class Ours:
    """One WorkerPool."""

    name = "asr-platform"

    def __init__(self, spec: PoolSpec) -> None:
        self.period_seconds = spec.poll_interval_seconds
        self._spec = spec
        self._history = History()
        self._measurements: tuple[Measurement, ...] = ()
        self._written: int | None = None
        self._buckets: deque[Arrivals] = deque()
        self._counted = 0

    def restart(self, cluster: Cluster) -> None:
        """Loses the history in memory."""
        self._history = History()

    def decide(self, cluster: Cluster) -> Decision:
        decided = plan(self._spec, self._observe(cluster), self._history)
        self._history = decided.history
        self._measurements = decided.measurements
        self._written = decided.replicas
        return Decision(decided.replicas, dict(decided.deletion_costs), frozenset(decided.cordon))

    def _observe(self, cluster: Cluster) -> Observation:
        pods = cluster.pods
        return Observation(
            now=cluster.now,
            queue=QueueObservation.unreachable("outage")
            if cluster.redis_down
            else self._queue(cluster),
            replicas=cluster.replicas,
            workers=tuple(_worker(pod, cluster) for pod in pods if pod.ready_at <= cluster.now),
            pods=tuple(_pod(pod, cluster) for pod in pods),
            written=self._written,
            template=_template(cluster.now, cluster),
            gpu=True,
            measurements=self._measurements,
        )

    def _queue(self, cluster: Cluster) -> QueueObservation:
        self._count(cluster)
        waiting, audio = cluster.waiting, cluster.trace.audio_seconds
        in_flight = sum(audio[pod.task] for pod in cluster.working)
        return QueueObservation(
            trusted=cluster.now - cluster.redis_since >= LEASE_SECONDS,
            waiting=waiting,
            in_flight=cluster.in_flight,
            oldest_wait_seconds=cluster.oldest_wait_seconds,
            audio_seconds=cluster.waiting_audio + in_flight,
            arrivals=tuple(self._buckets),
        )

    def _count(self, cluster: Cluster) -> None:
        """Counts arrivals in buckets of ten seconds, as Redis does."""
        buckets = self._buckets
        for task in range(self._counted, cluster.accepted):
            at = cluster.queued_at[task] // _BUCKET_SECONDS * _BUCKET_SECONDS
            last = buckets.pop() if buckets and buckets[-1].at == at else Arrivals(at, 0, 0.0)
            audio = last.audio_seconds + cluster.trace.audio_seconds[task]
            buckets.append(Arrivals(at, last.tasks + 1, audio))
        self._counted = cluster.accepted
        while buckets and buckets[0].at < cluster.now - _KEPT_SECONDS:
            buckets.popleft()


def _worker(pod: Pod, cluster: Cluster) -> WorkerObservation:
    """From the last heartbeat. Throughput is 0 before the first batch is done."""
    beat_at = cluster.now - (cluster.now - pod.ready_at) % _BEAT_SECONDS
    worked = beat_at - cluster.starts[pod.task] if pod.task >= 0 else -1.0
    is_measured = pod.tasks_done > 0 or worked >= _BATCH_SECONDS
    left = pod.finish - beat_at + (0.0 if is_measured else worked)
    return WorkerObservation(
        consumer=pod.name,
        pod=pod.name,
        busy=int(pod.task >= 0),
        slots=1,
        in_flight_seconds=left * pod.throughput if worked >= 0 else 0.0,
        throughput=pod.throughput if is_measured else 0.0,
        cordoned=pod.cordoned,
    )


def _pod(pod: Pod, cluster: Cluster) -> PodObservation:
    now, state, startup = cluster.now, PodState.UNSCHEDULABLE, None
    if pod.ready_at <= now:
        state, startup = PodState.READY, pod.ready_at - pod.created_at
    elif pod.scheduled_at <= now:
        state = PodState.STARTING
    template = _template(pod.created_at, cluster)
    return PodObservation(pod.name, state, now - pod.created_at, startup, template)


def _template(created_at: float, cluster: Cluster) -> str:
    return "old" if created_at < cluster.model.changed_at else "new"

"""What keeps the plan from scaling by the work: owners, pauses, a signal that says nothing. Pure.

The order is that of the strength: nothing of another's Deployment is touched; a pause needs no
signal; without a signal nobody is taken.
"""

from __future__ import annotations

from dataclasses import replace

from asr_operator.planning.conditions import Reason, ScalingDecision
from asr_operator.planning.observation import History, Observation, PodState, Signal
from asr_operator.planning.spec import PausedAt, PoolSpec

# Another writer is left alone for a minute, twice as long each time it comes again.
_CONFLICT_SECONDS, _MOST_CONFLICT_SECONDS, _FORGET_CONFLICT_SECONDS = 60.0, 600.0, 1800.0
_MOST_DISTURBANCES = 10
_FIRST_BEAT_SECONDS = 15.0  # a worker beats every ten


def blocked(spec: PoolSpec, seen: Observation, history: History) -> ScalingDecision | None:
    """What to do instead of scaling by the work, or None."""
    if seen.hold is not None:
        return ScalingDecision(seen.replicas, Reason.HOLD_CONFLICT, seen.hold.message)
    paused = spec.scaling.paused
    if paused is True:
        return ScalingDecision(
            seen.replicas, Reason.PAUSED, f"paused: replicas stay at {seen.replicas}"
        )
    if (left := _left_to_others(seen, history)) > 0:
        message = (
            f"another writer changed replicas from {seen.written} to {seen.replicas}; left alone "
            f"for {left:.0f} s"
        )
        return ScalingDecision(seen.replicas, Reason.HOLD_CONFLICT, message)
    if isinstance(paused, PausedAt):
        return _paused_at(spec, seen, paused.replicas)
    if seen.queue.signal is Signal.UNREACHABLE:
        return _without_signal(spec, seen, history)
    return _without_evidence(seen)


def _paused_at(spec: PoolSpec, seen: Observation, replicas: int) -> ScalingDecision:
    message = f"paused at {replicas}"
    if replicas < seen.replicas and seen.queue.signal is Signal.UNREACHABLE:
        replicas, message = (
            seen.replicas,
            f"{message}; no worker goes: the queue cannot be read",
        )
    return ScalingDecision(_in_steps(spec, seen, replicas), Reason.PAUSED, message)


def _without_signal(spec: PoolSpec, seen: Observation, history: History) -> ScalingDecision:
    fallback, lost_at = spec.scaling.fallback, history.signal_lost_at
    lost_for = seen.now - lost_at if lost_at is not None else 0.0
    message = (
        f"the queue could not be read for {lost_for:.0f} s: {seen.queue.error or 'no reason given'}"
    )
    if fallback is None or lost_for < fallback.after_seconds:
        return ScalingDecision(seen.replicas, Reason.HOLD_SIGNAL, message)
    # More than what runs, never fewer: who is busy is not known.
    replicas = _in_steps(spec, seen, max(seen.replicas, fallback.replicas))
    return ScalingDecision(
        replicas, Reason.FALLBACK, f"{message}; the fallback is {fallback.replicas}"
    )


def _without_evidence(seen: Observation) -> ScalingDecision | None:
    if are_silent(seen):
        message = (
            f"{seen.ready} pods are ready, but no worker sends heartbeats: which of them are busy "
            "is not known, replicas stay as they are"
        )
        return ScalingDecision(seen.replicas, Reason.HOLD_HEARTBEATS, message)
    if seen.queue.trusted:
        return None
    if seen.replicas == 0 and seen.queue.waiting > 0:
        return ScalingDecision(1, Reason.ACTIVATE, f"{seen.queue.waiting} waiting")
    message = (
        "Redis was first seen less than one task lease ago (new, or failed over): what is in "
        "flight is not known yet, replicas stay as they are"
    )
    return ScalingDecision(seen.replicas, Reason.HOLD_UNTRUSTED, message)


def are_silent(seen: Observation) -> bool:
    """Pods work, or tasks are in flight, and no worker writes a heartbeat."""
    if seen.workers or seen.replicas == 0 or seen.queue.signal is Signal.UNREACHABLE:
        return False
    return seen.queue.in_flight > 0 or any(
        pod.state is PodState.READY
        and pod.age_seconds - (pod.startup_seconds or 0.0) >= _FIRST_BEAT_SECONDS
        for pod in seen.pods
    )


def _in_steps(spec: PoolSpec, seen: Observation, replicas: int) -> int:
    step = spec.scaling.max_step
    return max(seen.replicas - step.down, min(replicas, seen.replicas + step.up))


def with_writer(seen: Observation, history: History) -> History:
    """Notes that the replicas are not those that were written last."""
    if seen.written is None or seen.written == seen.replicas:
        history = replace(history, foreign_replicas=None)
        since = seen.now - history.disturbed_at if history.disturbed_at is not None else 0.0
        if since > _FORGET_CONFLICT_SECONDS:
            history = replace(history, disturbed_at=None, disturbances=0)
        return history
    if history.foreign_replicas == seen.replicas:
        return history
    return replace(
        history,
        foreign_replicas=seen.replicas,
        disturbed_at=seen.now,
        disturbances=min(history.disturbances + 1, _MOST_DISTURBANCES),
    )


def _left_to_others(seen: Observation, history: History) -> float:
    """For how many seconds more the other writer's replicas are left alone."""
    if history.foreign_replicas is None or history.disturbed_at is None:
        return 0.0
    patience = min(_CONFLICT_SECONDS * 2.0 ** (history.disturbances - 1), _MOST_CONFLICT_SECONDS)
    passed = seen.now - history.disturbed_at
    return patience - passed if passed >= 0 else 0.0

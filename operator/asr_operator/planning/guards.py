"""Guards: conditions under which the plan does not scale by the work. Pure.

Strongest first: a Deployment that another pool owns is never touched; a pause needs no signal;
without a signal no worker is removed.
"""

from __future__ import annotations

from dataclasses import replace

from asr_operator.planning.conditions import Reason, ScalingDecision
from asr_operator.planning.observation import History, Observation, PodState, Signal
from asr_operator.planning.spec import PausedAt, PoolSpec

# Backoff after another writer changed the replicas; doubles with each conflict.
_CONFLICT_SECONDS, _MOST_CONFLICT_SECONDS, _FORGET_CONFLICT_SECONDS = 60.0, 600.0, 1800.0
_MOST_CONFLICTS = 10
_FIRST_HEARTBEAT_SECONDS = 15.0  # the heartbeat interval is 10 s


def guarded_decision(
    spec: PoolSpec, observation: Observation, history: History
) -> ScalingDecision | None:
    """The decision of the first guard that applies; None if scaling by the work is allowed."""
    if observation.hold is not None:
        return ScalingDecision(observation.replicas, Reason.HOLD_CONFLICT, observation.hold.message)
    paused = spec.scaling.paused
    if paused is True:
        return ScalingDecision(
            observation.replicas, Reason.PAUSED, f"paused: replicas stay at {observation.replicas}"
        )
    if (left := _conflict_backoff_seconds(observation, history)) > 0:
        message = (
            f"another writer changed replicas from {observation.written} to "
            f"{observation.replicas}; left alone for {left:.0f} s"
        )
        return ScalingDecision(observation.replicas, Reason.HOLD_CONFLICT, message)
    if isinstance(paused, PausedAt):
        return _paused_at(spec, observation, paused.replicas)
    if observation.queue.signal is Signal.UNREACHABLE:
        return _without_signal(spec, observation, history)
    return _unreliable_signal(observation)


def _paused_at(spec: PoolSpec, observation: Observation, replicas: int) -> ScalingDecision:
    message = f"paused at {replicas}"
    if replicas < observation.replicas and observation.queue.signal is Signal.UNREACHABLE:
        replicas, message = (
            observation.replicas,
            f"{message}; no worker goes: the queue cannot be read",
        )
    return ScalingDecision(_in_steps(spec, observation, replicas), Reason.PAUSED, message)


def _without_signal(spec: PoolSpec, observation: Observation, history: History) -> ScalingDecision:
    fallback, lost_at = spec.scaling.fallback, history.signal_lost_at
    lost_for = observation.now - lost_at if lost_at is not None else 0.0
    error = observation.queue.error or "no reason given"
    message = f"the queue could not be read for {lost_for:.0f} s: {error}"
    if fallback is None or lost_for < fallback.after_seconds:
        return ScalingDecision(observation.replicas, Reason.HOLD_SIGNAL, message)
    # Never fewer than now: which workers are busy is unknown.
    replicas = _in_steps(spec, observation, max(observation.replicas, fallback.replicas))
    return ScalingDecision(
        replicas, Reason.FALLBACK, f"{message}; the fallback is {fallback.replicas}"
    )


def _unreliable_signal(observation: Observation) -> ScalingDecision | None:
    if no_heartbeats(observation):
        message = (
            f"{observation.ready} pods are ready, but no worker sends heartbeats: which of them "
            "are busy is not known, replicas stay as they are"
        )
        return ScalingDecision(observation.replicas, Reason.HOLD_HEARTBEATS, message)
    if observation.queue.trusted:
        return None
    if observation.replicas == 0 and observation.queue.waiting > 0:
        return ScalingDecision(1, Reason.ACTIVATE, f"{observation.queue.waiting} waiting")
    message = (
        "Redis was first seen less than one task lease ago (new, or failed over): what is in "
        "flight is not known yet, replicas stay as they are"
    )
    return ScalingDecision(observation.replicas, Reason.HOLD_UNTRUSTED, message)


def no_heartbeats(observation: Observation) -> bool:
    """Pods are ready or tasks are in flight, but no worker writes a heartbeat."""
    if (
        observation.workers
        or observation.replicas == 0
        or observation.queue.signal is Signal.UNREACHABLE
    ):
        return False
    return observation.queue.in_flight > 0 or any(
        pod.state is PodState.READY
        and pod.age_seconds - (pod.startup_seconds or 0.0) >= _FIRST_HEARTBEAT_SECONDS
        for pod in observation.pods
    )


def _in_steps(spec: PoolSpec, observation: Observation, replicas: int) -> int:
    step = spec.scaling.max_step
    return max(observation.replicas - step.down, min(replicas, observation.replicas + step.up))


def with_other_writer(observation: Observation, history: History) -> History:
    """The history, with a conflict recorded if the replicas differ from the last write."""
    if observation.written is None or observation.written == observation.replicas:
        history = replace(history, foreign_replicas=None)
        at = history.last_conflict_at
        if at is not None and observation.now - at > _FORGET_CONFLICT_SECONDS:
            history = replace(history, last_conflict_at=None, conflicts=0)
        return history
    if history.foreign_replicas == observation.replicas:
        return history
    return replace(
        history,
        foreign_replicas=observation.replicas,
        last_conflict_at=observation.now,
        conflicts=min(history.conflicts + 1, _MOST_CONFLICTS),
    )


def _conflict_backoff_seconds(observation: Observation, history: History) -> float:
    """Seconds for which the other writer's replicas are still left alone."""
    if history.foreign_replicas is None or history.last_conflict_at is None:
        return 0.0
    backoff = min(_CONFLICT_SECONDS * 2.0 ** (history.conflicts - 1), _MOST_CONFLICT_SECONDS)
    passed = observation.now - history.last_conflict_at
    return backoff - passed if passed >= 0 else 0.0

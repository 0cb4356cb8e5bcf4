"""The reason of a decision, and the status conditions that follow from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from asr_operator.planning.observation import Hold, Observation, Signal
from asr_operator.planning.spec import PoolSpec
from asr_operator.planning.throughput import ASSUMED_STARTUP_SECONDS, Throughput


class Reason(StrEnum):
    """Why the plan decided so; also a label of the decisions metric and the reason of events."""

    SCALE_UP = "ScaleUp"
    SCALE_DOWN = "ScaleDown"
    ACTIVATE = "Activate"  # from zero
    STEADY = "Steady"
    HOLD_STABILIZING = "HoldStabilizing"  # the stabilization window has not passed
    HOLD_SIGNAL = "HoldSignal"  # Redis cannot be read
    HOLD_UNTRUSTED = "HoldUntrusted"  # within the failover grace period
    HOLD_HEARTBEATS = "HoldHeartbeats"  # workers run, but no heartbeat arrives
    HOLD_CAPACITY = "HoldCapacity"  # pods cannot be scheduled
    GIVE_UP_UNSCHEDULABLE = "GiveUpUnschedulable"  # for longer than the timeout
    HOLD_BUSY = "HoldBusy"  # the work asks for fewer, but all are busy
    HOLD_CONFLICT = "HoldConflict"  # another writer, another owner, another pool
    FALLBACK = "Fallback"
    PAUSED = "Paused"


_HEALTHY = {
    Reason.SCALE_UP,
    Reason.SCALE_DOWN,
    Reason.ACTIVATE,
    Reason.STEADY,
    Reason.HOLD_STABILIZING,
    Reason.HOLD_BUSY,
    Reason.PAUSED,
}


@dataclass(frozen=True)
class Condition:
    """One condition of the status. `status` is True, False or None for Unknown."""

    type: str
    status: bool | None
    reason: str
    message: str


@dataclass(frozen=True)
class ScalingDecision:
    """Replicas to set, with the reason as a constant and as a sentence."""

    replicas: int
    reason: Reason
    message: str


def conditions(
    spec: PoolSpec,
    observation: Observation,
    throughput: Throughput,
    decision: ScalingDecision,
    *,
    wanted: int,
    capacity: str,
) -> tuple[Condition, ...]:
    """All condition types, on every tick.

    `capacity` describes missing capacity (empty: none is missing); `wanted` is the number of
    workers that the work asks for. A healthy condition keeps one reason from tick to tick, because
    each change is a write to the API server.
    """
    return (
        _ready(decision),
        _signal(observation),
        _active(spec, decision),
        _limited(spec, observation, wanted),
        _target(spec, observation, throughput),
        Condition("CapacityUnavailable", True, "Unschedulable", capacity)
        if capacity
        else Condition("CapacityUnavailable", False, "Scheduled", "every pod is scheduled"),
        _conflict(observation.hold, decision),
        _mismatch(observation.hold),
        Condition("Paused", True, "Paused", decision.message)
        if spec.scaling.paused is not False
        else Condition("Paused", False, "NotPaused", "scaling is not paused"),
    )


def _ready(decision: ScalingDecision) -> Condition:
    if decision.reason in _HEALTHY:
        return Condition("Ready", True, str(Reason.STEADY), decision.message)
    return Condition("Ready", False, str(decision.reason), decision.message)


def _signal(observation: Observation) -> Condition:
    queue = observation.queue
    if queue.signal is Signal.UNREACHABLE:
        message = f"the queue cannot be read: {queue.error or 'no reason given'}"
        return Condition("SignalAvailable", False, "QueueUnreachable", message)
    messages = {
        Signal.OK: "the queue can be read",
        Signal.NO_STREAM: "the queue can be read; nothing was submitted yet",
        Signal.NO_GROUP: "the queue can be read; no worker has connected yet",
    }
    return Condition("SignalAvailable", True, "QueueRead", messages[queue.signal])


def _active(spec: PoolSpec, decision: ScalingDecision) -> Condition:
    if spec.scaling.dry_run:
        message = f"dry run, nothing is changed: {decision.message}"
        return Condition("ScalingActive", False, "DryRun", message)
    if decision.reason in _HEALTHY and decision.reason is not Reason.PAUSED:
        return Condition("ScalingActive", True, "Scaling", decision.message)
    return Condition("ScalingActive", False, str(decision.reason), decision.message)


def _limited(spec: PoolSpec, observation: Observation, wanted: int) -> Condition:
    """Type and reasons as a HorizontalPodAutoscaler reports them."""
    least, most = spec.scaling.min_replicas, spec.scaling.max_replicas
    if observation.queue.signal is Signal.UNREACHABLE:
        message = "what the work asks for is not known: the queue cannot be read"
        return Condition("ScalingLimited", None, "QueueUnreachable", message)
    if wanted > most:
        message = f"the work asks for {wanted} workers, maxReplicas is {most}"
        return Condition("ScalingLimited", True, "TooManyReplicas", message)
    if wanted < least:
        message = f"the work asks for {wanted} workers, minReplicas is {least}"
        return Condition("ScalingLimited", True, "TooFewReplicas", message)
    message = "what the work asks for is within minReplicas and maxReplicas"
    return Condition("ScalingLimited", False, "DesiredWithinRange", message)


def _target(spec: PoolSpec, observation: Observation, throughput: Throughput) -> Condition:
    target, startup = spec.scaling.target_wait_seconds, throughput.startup_seconds
    is_measured = any(pod.startup_seconds for pod in observation.pods)
    if startup == ASSUMED_STARTUP_SECONDS and not is_measured:
        message = f"no worker has started yet; {startup:.0f} s to start are assumed"
        return Condition("TargetUnreachable", None, "StartupNotMeasured", message)
    if startup < target:
        message = f"a worker starts in {startup:.0f} s, the target is {target:.0f} s"
        return Condition("TargetUnreachable", False, "StartupFits", message)
    message = (
        f"a worker takes {startup:.0f} s to start, the target is {target:.0f} s: a task that waits "
        "for a new worker misses it. Raise minReplicas or targetWaitSeconds, or shorten the start"
    )
    return Condition("TargetUnreachable", True, "StartupTooLong", message)


def _conflict(hold: Hold | None, decision: ScalingDecision) -> Condition:
    if hold is not None and hold.condition == "Conflict":
        return Condition("Conflict", True, hold.reason, hold.message)
    if hold is None and decision.reason is Reason.HOLD_CONFLICT:
        return Condition("Conflict", True, "OtherWriter", decision.message)
    return Condition("Conflict", False, "OnlyWriter", "no other writer of spec.replicas was seen")


def _mismatch(hold: Hold | None) -> Condition:
    if hold is not None and hold.condition == "PoolMismatch":
        return Condition("PoolMismatch", True, hold.reason, hold.message)
    return Condition("PoolMismatch", False, "PoolMatches", "the workers serve this pool")

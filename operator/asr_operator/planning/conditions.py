"""What a plan says, and the conditions that follow from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from asr_operator.planning.observation import Hold, Observation, Signal
from asr_operator.planning.spec import PoolSpec
from asr_operator.planning.throughput import ASSUMED_STARTUP_SECONDS, Throughput


class Reason(StrEnum):
    """Why the plan decided so; also the label of the decisions' metric and the events' reason."""

    SCALE_UP = "ScaleUp"
    SCALE_DOWN = "ScaleDown"
    ACTIVATE = "Activate"  # from zero
    STEADY = "Steady"
    HOLD_STABILIZING = "HoldStabilizing"  # a window has not passed yet
    HOLD_SIGNAL = "HoldSignal"  # Redis cannot be read
    HOLD_UNTRUSTED = "HoldUntrusted"  # a Redis seen for less than a lease
    HOLD_HEARTBEATS = "HoldHeartbeats"  # workers run, but none is heard
    HOLD_CAPACITY = "HoldCapacity"  # pods cannot be scheduled
    GIVE_UP_UNSCHEDULABLE = "GiveUpUnschedulable"  # they could not be for longer than the time-out
    HOLD_BUSY = "HoldBusy"  # fewer were wanted, but all are busy
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
    """The replicas that should be, and why, in a word and in a sentence."""

    replicas: int
    reason: Reason
    message: str


def conditions(
    spec: PoolSpec,
    seen: Observation,
    pace: Throughput,
    verdict: ScalingDecision,
    *,
    wanted: int,
    capacity: str,
) -> tuple[Condition, ...]:
    """Every type, each time. `capacity` says what is missing, or nothing; `wanted` is what the work
    asks for.

    Reasons of healthy conditions do not change from tick to tick: each change is a write.
    """
    return (
        _ready(verdict),
        _signal(seen),
        _active(spec, verdict),
        _limited(spec, seen, wanted),
        _target(spec, seen, pace),
        Condition("CapacityUnavailable", True, "Unschedulable", capacity)
        if capacity
        else Condition("CapacityUnavailable", False, "Scheduled", "every pod is scheduled"),
        _conflict(seen.hold, verdict),
        _mismatch(seen.hold),
        Condition("Paused", True, "Paused", verdict.message)
        if spec.scaling.paused is not False
        else Condition("Paused", False, "NotPaused", "scaling is not paused"),
    )


def _ready(verdict: ScalingDecision) -> Condition:
    if verdict.reason in _HEALTHY:
        return Condition("Ready", True, str(Reason.STEADY), verdict.message)
    return Condition("Ready", False, str(verdict.reason), verdict.message)


def _signal(seen: Observation) -> Condition:
    queue = seen.queue
    if queue.signal is Signal.UNREACHABLE:
        message = f"the queue cannot be read: {queue.error or 'no reason given'}"
        return Condition("SignalAvailable", False, "QueueUnreachable", message)
    said = {
        Signal.OK: "the queue can be read",
        Signal.NO_STREAM: "the queue can be read; nothing was submitted yet",
        Signal.NO_GROUP: "the queue can be read; no worker has connected yet",
    }
    return Condition("SignalAvailable", True, "QueueRead", said[queue.signal])


def _active(spec: PoolSpec, verdict: ScalingDecision) -> Condition:
    if spec.scaling.dry_run:
        message = f"dry run, nothing is changed: {verdict.message}"
        return Condition("ScalingActive", False, "DryRun", message)
    if verdict.reason in _HEALTHY and verdict.reason is not Reason.PAUSED:
        return Condition("ScalingActive", True, "Scaling", verdict.message)
    return Condition("ScalingActive", False, str(verdict.reason), verdict.message)


def _limited(spec: PoolSpec, seen: Observation, wanted: int) -> Condition:
    """Types and reasons are those of a HorizontalPodAutoscaler."""
    least, most = spec.scaling.min_replicas, spec.scaling.max_replicas
    if seen.queue.signal is Signal.UNREACHABLE:
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


def _target(spec: PoolSpec, seen: Observation, pace: Throughput) -> Condition:
    target, startup = spec.scaling.target_wait_seconds, pace.startup_seconds
    is_measured = any(pod.startup_seconds for pod in seen.pods)
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


def _conflict(hold: Hold | None, verdict: ScalingDecision) -> Condition:
    if hold is not None and hold.condition == "Conflict":
        return Condition("Conflict", True, hold.reason, hold.message)
    if hold is None and verdict.reason is Reason.HOLD_CONFLICT:
        return Condition("Conflict", True, "OtherWriter", verdict.message)
    return Condition("Conflict", False, "OnlyWriter", "no other writer of spec.replicas was seen")


def _mismatch(hold: Hold | None) -> Condition:
    if hold is not None and hold.condition == "PoolMismatch":
        return Condition("PoolMismatch", True, hold.reason, hold.message)
    return Condition("PoolMismatch", False, "PoolMatches", "the workers serve this pool")

"""How many workers a pool should have: a pure function of spec, observation and history.

No I/O, no clock, no randomness: the operator and `asr simulate` call the same function. `demand`
computes how many workers the work needs, `throughput` how fast they are, `stabilization` when a
change is due, `guards` when nothing may change, `unschedulable` what the nodes have room for,
`scale_down_order` which pods go first, `conditions` what the status says. This module combines
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from asr_operator.planning.conditions import Condition, Reason, ScalingDecision, conditions
from asr_operator.planning.demand import fleet_of, load_of, workers_for
from asr_operator.planning.guards import guarded_decision, no_heartbeats, with_other_writer
from asr_operator.planning.observation import History, Measurement, Observation, Signal
from asr_operator.planning.scale_down_order import Candidate, candidates, deletion_costs
from asr_operator.planning.spec import PoolSpec
from asr_operator.planning.stabilization import (
    down_seconds,
    record_desire,
    reset_window,
    stabilized,
)
from asr_operator.planning.throughput import Throughput, clean, throughput_of
from asr_operator.planning.unschedulable import (
    give_up_message,
    most_schedulable,
    unschedulable_message,
    with_capacity_retry,
)

__all__ = ["Condition", "Plan", "Reason", "plan"]


@dataclass(frozen=True)
class Plan:
    """The decision of one tick.

    `replicas` is the value for `spec.replicas`; unchanged if there is nothing to do. `execute` is
    False in a dry run: then only the status is written. `desired` is what the work alone asks for,
    before minReplicas, maxReplicas, stabilization, steps and guards. Consumers in `cordon` must be
    cordoned before the patch (they claim nothing more), those in `uncordon` are uncordoned.
    `deletion_costs` by pod name must be annotated before a patch that removes pods. `throughput`
    and `startup_seconds` are the figures that were used, measured or not. `measurements` belong
    into the status and into the next observation.
    """

    replicas: int
    desired: int
    execute: bool
    reason: Reason
    message: str
    conditions: tuple[Condition, ...]
    history: History
    cordon: tuple[str, ...] = ()
    uncordon: tuple[str, ...] = ()
    deletion_costs: tuple[tuple[str, int], ...] = ()
    throughput: float = 0.0
    startup_seconds: float = 0.0
    measurements: tuple[Measurement, ...] = ()


def plan(spec: PoolSpec, observation: Observation, history: History) -> Plan:
    """Decides. Raises for no observation."""
    throughput = throughput_of(spec, observation, history)
    wanted, why = _wanted(spec, observation, throughput)
    history = _updated_history(spec, observation, history, throughput, wanted)
    decision = guarded_decision(spec, observation, history) or _by_work(
        spec, observation, history, throughput, wanted, why
    )
    ordered = candidates(observation.workers, observation.pods)
    decision, removed = _keep_busy_pods(spec, observation, decision, ordered)
    cordon = {name for each in removed for name in each.consumers}
    cordoned = {worker.consumer for worker in observation.workers if worker.cordoned}
    return Plan(
        replicas=decision.replicas,
        desired=wanted,
        execute=not spec.scaling.dry_run,
        reason=decision.reason,
        message=decision.message,
        conditions=conditions(
            spec,
            observation,
            throughput,
            decision,
            wanted=wanted,
            capacity=unschedulable_message(spec, observation, history, wanted),
        ),
        history=history,
        cordon=tuple(sorted(cordon)),
        uncordon=tuple(sorted(cordoned - cordon)),
        deletion_costs=deletion_costs(ordered, len(removed)) if removed else (),
        throughput=throughput.per_pod,
        startup_seconds=throughput.startup_seconds,
        measurements=throughput.measurements,
    )


def _wanted(spec: PoolSpec, observation: Observation, throughput: Throughput) -> tuple[int, str]:
    """The number of workers that the work asks for, and a sentence with the numbers."""
    queue = observation.queue
    if queue.signal is Signal.UNREACHABLE:
        return observation.replicas, "the queue cannot be read"
    if queue.waiting <= 0:
        is_open = queue.in_flight > 0 or queue.delayed > 0
        message = f"no task waits, {queue.in_flight} in flight, {queue.delayed} backing off"
        return int(is_open and observation.replicas > 0), message
    target, load = spec.scaling.target_wait_seconds, load_of(observation, throughput)
    fleet = fleet_of(observation, throughput, load, poll_seconds=spec.poll_interval_seconds)
    wanted = workers_for(load, fleet, target=target, startup=throughput.startup_seconds)
    source = f" ({throughput.source})" if throughput.source else ""
    return wanted, (
        f"{queue.waiting} waiting, {queue.in_flight} in flight; "
        f"{load.work * throughput.per_pod:.0f} s of audio wait, the oldest for "
        f"{clean(queue.oldest_wait_seconds):.0f} s; at {throughput.per_pod:.1f} audio-seconds per "
        f"second{source} and {throughput.startup_seconds:.0f} s to start, a wait of "
        f"{target:.0f} s takes {wanted} workers"
    )


def _within(spec: PoolSpec, replicas: int) -> int:
    return max(spec.scaling.min_replicas, min(replicas, spec.scaling.max_replicas))


def _updated_history(
    spec: PoolSpec, observation: Observation, history: History, throughput: Throughput, wanted: int
) -> History:
    """The history after this tick."""
    lost_at = None
    if observation.queue.signal is Signal.UNREACHABLE:
        lost_at = observation.now if history.signal_lost_at is None else history.signal_lost_at
    if lost_at is not None or not observation.queue.trusted or no_heartbeats(observation):
        history = reset_window(history)
    else:
        up = spec.scaling.stabilization_seconds.up
        down = down_seconds(spec.scaling, throughput.startup_seconds)
        history = record_desire(history, observation.now, wanted, up=up, down=down)
    history = with_capacity_retry(spec, observation, with_other_writer(observation, history))
    return replace(
        history,
        at=observation.now,
        signal_lost_at=lost_at,
        measurements=throughput.measurements,
    )


def _by_work(
    spec: PoolSpec,
    observation: Observation,
    history: History,
    throughput: Throughput,
    wanted: int,
    why: str,
) -> ScalingDecision:
    """By the work: stabilized, within min and max, within what nodes have room for, in steps."""
    scaling, replicas = spec.scaling, observation.replicas
    target = stabilized(
        history, observation.now, replicas,
        up=scaling.stabilization_seconds.up, down=down_seconds(scaling, throughput.startup_seconds),
        within=lambda count: _within(spec, count),
    )  # fmt: skip
    if wanted > scaling.max_replicas:
        why = f"{why}; maxReplicas is {scaling.max_replicas}"
    schedulable = min(target, most_schedulable(spec, observation, history, wanted))
    most, least = replicas + scaling.max_step.up, replicas - scaling.max_step.down
    keeps, limited = target >= replicas, schedulable < target
    target = max(least, min(schedulable, most))
    if target > replicas:
        return ScalingDecision(target, Reason.SCALE_UP if replicas else Reason.ACTIVATE, why)
    if target < replicas and keeps:
        message = f"{give_up_message(spec, observation)}; {why}"
        return ScalingDecision(target, Reason.GIVE_UP_UNSCHEDULABLE, message)
    if target < replicas:
        return ScalingDecision(target, Reason.SCALE_DOWN, why)
    if limited:
        return ScalingDecision(replicas, Reason.HOLD_CAPACITY, f"{why}; no node has room for more")
    if _within(spec, wanted) == replicas:
        return ScalingDecision(replicas, Reason.STEADY, why)
    return ScalingDecision(
        replicas, Reason.HOLD_STABILIZING, f"{why}; waiting for the stabilization window"
    )


def _keep_busy_pods(
    spec: PoolSpec,
    observation: Observation,
    decision: ScalingDecision,
    ordered: Sequence[Candidate],
) -> tuple[ScalingDecision, Sequence[Candidate]]:
    """Limits a scale-down to idle pods. Returns the decision and the pods to cordon.

    Busy workers keep claiming: with too many workers one becomes idle soon, and until then it does
    useful work. If the user asks for fewer workers than the work does (paused, or above
    maxReplicas), none would ever become idle: then busy ones are cordoned, finish, and are removed.
    """
    surplus = observation.replicas - decision.replicas
    if surplus <= 0:
        return decision, ()
    not_created = max(0, observation.replicas - len(ordered))
    removed = ordered[: max(0, surplus - not_created)]
    reported = sum(each.busy for each in ordered)
    unreported = ceil(max(0, observation.queue.in_flight - reported) / (spec.slots_per_worker or 1))
    idle: list[Candidate] = []
    for each in removed:
        if each.is_idle or (each.is_silent and unreported <= 0):
            idle.append(each)
        unreported -= each.is_silent
    is_forced = decision.reason is Reason.PAUSED or observation.replicas > spec.scaling.max_replicas
    replicas = observation.replicas - not_created - len(idle)
    if replicas <= decision.replicas:
        return decision, removed
    reason = decision.reason
    if replicas == observation.replicas and reason is Reason.SCALE_DOWN:
        reason = Reason.HOLD_BUSY
    message = f"{decision.message}; {replicas - decision.replicas} more go once they are idle"
    return ScalingDecision(replicas, reason, message), removed if is_forced else idle

"""How many workers a pool should have: a pure function of spec, observation and history.

No I/O, no clock, no chance: the operator and `asr simulate` call the same function. What the work
asks for is in `demand`, what was measured in `pace`, the windows in `windows`, who goes in
`victims`, the words in `decision`. Here: when to listen to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from asr_operator.planning.conditions import Condition, Reason, ScalingDecision, conditions
from asr_operator.planning.demand import fleet_of, load_of, workers_for
from asr_operator.planning.guards import are_silent, blocked, with_writer
from asr_operator.planning.observation import History, Measurement, Observation, Signal
from asr_operator.planning.scale_down_order import Candidate, candidates, deletion_costs
from asr_operator.planning.spec import PoolSpec
from asr_operator.planning.stabilization import down_seconds, forget, remember, stable
from asr_operator.planning.throughput import Throughput, clean, throughput_of
from asr_operator.planning.unschedulable import given_up, most_schedulable, shortage, with_shortage

__all__ = ["Condition", "Plan", "Reason", "plan"]


@dataclass(frozen=True)
class Plan:
    """The decision of one tick.

    `replicas` is what `spec.replicas` should be now; equal to what was seen when there is nothing
    to do. `act` is False in a dry run: then nothing is written but the status. `desired` is what
    the work alone asks for, before minReplicas and maxReplicas, windows, steps and holds.
    Consumers in `cordon` are to be cordoned before the patch (they claim nothing more), those in
    `uncordon` to be released at once. `deletion_costs` by pod name are to be annotated before the
    patch when it takes pods away.
    `throughput` and `startup_seconds` are what the plan reckoned with, measured or not. Write
    `measurements` into the status, and give them back in the next observation.
    """

    replicas: int
    desired: int
    act: bool
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


def plan(spec: PoolSpec, seen: Observation, history: History) -> Plan:
    """Decide. Never raises for any observation."""
    pace = throughput_of(spec, seen, history)
    wanted, why = _wanted(spec, seen, pace)
    history = _remembered(spec, seen, history, pace, wanted)
    verdict = blocked(spec, seen, history) or _scaled(spec, seen, history, pace, wanted, why)
    ordered = candidates(seen.workers, seen.pods)
    verdict, victims = _spare_the_busy(spec, seen, verdict, ordered)
    doomed = {name for each in victims for name in each.consumers}
    cordoned = {worker.consumer for worker in seen.workers if worker.cordoned}
    return Plan(
        replicas=verdict.replicas,
        desired=wanted,
        act=not spec.scaling.dry_run,
        reason=verdict.reason,
        message=verdict.message,
        conditions=conditions(
            spec,
            seen,
            pace,
            verdict,
            wanted=wanted,
            capacity=shortage(spec, seen, history, wanted),
        ),
        history=history,
        cordon=tuple(sorted(doomed)),
        uncordon=tuple(sorted(cordoned - doomed)),
        deletion_costs=deletion_costs(ordered, len(victims)) if victims else (),
        throughput=pace.throughput,
        startup_seconds=pace.startup_seconds,
        measurements=pace.measurements,
    )


def _wanted(spec: PoolSpec, seen: Observation, pace: Throughput) -> tuple[int, str]:
    """What the work asks for, and a sentence with the numbers."""
    queue = seen.queue
    if queue.signal is Signal.UNREACHABLE:
        return seen.replicas, "the queue cannot be read"
    if queue.waiting <= 0:
        is_open = queue.in_flight > 0 or queue.delayed > 0
        said = f"no task waits, {queue.in_flight} in flight, {queue.delayed} backing off"
        return int(is_open and seen.replicas > 0), said
    target, load = spec.scaling.target_wait_seconds, load_of(seen, pace)
    fleet = fleet_of(seen, pace, load, poll_seconds=spec.poll_interval_seconds)
    wanted = workers_for(load, fleet, target=target, startup=pace.startup_seconds)
    source = f" ({pace.source})" if pace.source else ""
    return wanted, (
        f"{queue.waiting} waiting, {queue.in_flight} in flight; "
        f"{load.work * pace.throughput:.0f} s of audio wait, the oldest for "
        f"{clean(queue.oldest_wait_seconds):.0f} s; at {pace.throughput:.1f} audio-seconds per "
        f"second{source} and {pace.startup_seconds:.0f} s to start, a wait of {target:.0f} s takes "
        f"{wanted} workers"
    )


def _within(spec: PoolSpec, replicas: int) -> int:
    return max(spec.scaling.min_replicas, min(replicas, spec.scaling.max_replicas))


def _remembered(
    spec: PoolSpec, seen: Observation, history: History, pace: Throughput, wanted: int
) -> History:
    """The history with this tick in it."""
    lost_at = None
    if seen.queue.signal is Signal.UNREACHABLE:
        lost_at = seen.now if history.signal_lost_at is None else history.signal_lost_at
    if lost_at is not None or not seen.queue.trusted or are_silent(seen):
        history = forget(history)
    else:
        up = spec.scaling.stabilization_seconds.up
        down = down_seconds(spec.scaling, pace.startup_seconds)
        history = remember(history, seen.now, wanted, up=up, down=down)
    history = with_shortage(spec, seen, with_writer(seen, history))
    return replace(
        history,
        at=seen.now,
        signal_lost_at=lost_at,
        measurements=pace.measurements,
    )


def _scaled(
    spec: PoolSpec, seen: Observation, history: History, pace: Throughput, wanted: int, why: str
) -> ScalingDecision:
    """The rule: stable over the windows, within min and max, what there are nodes for, in steps."""
    scaling, replicas = spec.scaling, seen.replicas
    target = stable(
        history, seen.now, replicas,
        up=scaling.stabilization_seconds.up, down=down_seconds(scaling, pace.startup_seconds),
        within=lambda count: _within(spec, count),
    )  # fmt: skip
    if wanted > scaling.max_replicas:
        why = f"{why}; maxReplicas is {scaling.max_replicas}"
    schedulable = min(target, most_schedulable(spec, seen, history, wanted))
    most, least = replicas + scaling.max_step.up, replicas - scaling.max_step.down
    keeps, limited = target >= replicas, schedulable < target
    target = max(least, min(schedulable, most))
    if target > replicas:
        return ScalingDecision(target, Reason.SCALE_UP if replicas else Reason.ACTIVATE, why)
    if target < replicas and keeps:
        message = f"{given_up(spec, seen)}; {why}"
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


def _spare_the_busy(
    spec: PoolSpec, seen: Observation, verdict: ScalingDecision, ordered: Sequence[Candidate]
) -> tuple[ScalingDecision, Sequence[Candidate]]:
    """Takes only what is idle; also says whose workers are to be cordoned.

    A busy worker claims on: with too many of them one is idle soon, and until then it helps. But
    where the user wants fewer than the work does, none would ever be idle: there the busy ones are
    cordoned, finish, and go.
    """
    surplus = seen.replicas - verdict.replicas
    if surplus <= 0:
        return verdict, ()
    not_there_yet = max(0, seen.replicas - len(ordered))
    victims = ordered[: max(0, surplus - not_there_yet)]
    heard = sum(each.busy for each in ordered)
    unheard = ceil(max(0, seen.queue.in_flight - heard) / (spec.slots_per_worker or 1))
    free: list[Candidate] = []
    for each in victims:
        if each.is_idle or (each.is_silent and unheard <= 0):
            free.append(each)
        unheard -= each.is_silent
    is_told = verdict.reason is Reason.PAUSED or seen.replicas > spec.scaling.max_replicas
    replicas = seen.replicas - not_there_yet - len(free)
    if replicas <= verdict.replicas:
        return verdict, victims
    reason = verdict.reason
    if replicas == seen.replicas and reason is Reason.SCALE_DOWN:
        reason = Reason.HOLD_BUSY
    message = f"{verdict.message}; {replicas - verdict.replicas} more go once they are idle"
    return ScalingDecision(replicas, reason, message), victims if is_told else free

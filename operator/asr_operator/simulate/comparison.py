"""Runs all policies through one scenario, each peer with its best setting.

A peer is tuned on the same trace that it is evaluated on. From its grid the setting with the fewest
GPU-hours among those that meet the objective is chosen; if none does, the one that misses it least,
ties by the shortest waits. This platform's plan is not tuned: it runs with its defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from asr_operator.planning.spec import PoolSpec
from asr_operator.simulate.cluster import Policy
from asr_operator.simulate.keda import Keda
from asr_operator.simulate.knative import Kpa
from asr_operator.simulate.ours import Ours
from asr_operator.simulate.outcome import Outcome, Scenario, run
from asr_operator.simulate.static import Static

# Thresholds, as the share of the target that one worker's tasks take.
_SHARES = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.1)
_DOWN_SECONDS = (0.0, 60.0, 120.0, 300.0)
_COOLDOWN_SECONDS = (30.0, 60.0, 300.0)
_POLLING_SECONDS = 5.0
_STABLE_SECONDS = (15.0, 30.0, 60.0, 120.0)
_PANIC_THRESHOLDS = (2.0, 10.0)
# The oracle schedules continuous work; whole tasks start somewhat earlier or later.
_ORACLE_SLACK_SECONDS = (-5.0, 0.0, 5.0, 10.0)
OURS = "asr-platform"
POLICIES = (OURS, "static", "KEDA lag", "KEDA length", "Knative KPA", "oracle")

Candidate = tuple[str, Callable[[], Policy]]


@dataclass(frozen=True)
class Entry:
    """One policy with its best setting. `setting` describes it, `tried` counts the candidates."""

    policy: str
    setting: str
    tried: int
    outcome: Outcome


def compare(
    scenario: Scenario,
    spec: PoolSpec,
    *,
    objective: float = 0.01,
    policies: Iterable[str] = POLICIES,
    sample_seconds: float = 0.0,
) -> Iterator[Entry]:
    """`objective` is the largest share of tasks that may wait longer than the target."""
    for name in policies:
        tried = list(candidates(name, scenario, spec))
        outcomes = [run(scenario, make()) for _, make in tried]
        best = min(range(len(outcomes)), key=lambda i: _rank(outcomes[i], objective))
        setting, make = tried[best]
        outcome = outcomes[best]
        if sample_seconds:
            outcome = run(scenario, make(), sample_seconds=sample_seconds)
        yield Entry(name, setting, len(tried), outcome)


def _rank(outcome: Outcome, objective: float) -> tuple[bool, float, float]:
    if outcome.over <= objective:
        return False, outcome.billed_hours, outcome.over
    return True, outcome.over, outcome.p50


def candidates(name: str, scenario: Scenario, spec: PoolSpec) -> Iterator[Candidate]:
    """Each candidate setting of a policy: a description and a factory."""
    most = scenario.max_replicas
    if name == OURS:
        yield "defaults", lambda: Ours(spec)
    elif name == "static":
        for count in range(max(1, scenario.min_replicas), most + 1):
            yield f"{count} replicas", lambda count=count: Static(count)  # type: ignore[misc]
    elif name == "oracle":
        yield from _oracles(scenario)
    elif name == "Knative KPA":
        yield from _kpas(scenario)
    else:
        yield from _kedas(name.removeprefix("KEDA "), scenario)


def thresholds(scenario: Scenario) -> list[int]:
    """Candidate thresholds in tasks per worker: what one worker does in a share of the target."""
    trace = scenario.trace
    service_seconds = sum(trace.audio_seconds) / len(trace) / scenario.model.throughput
    tasks = scenario.target_seconds / service_seconds
    return sorted({max(1, round(share * tasks)) for share in _SHARES})


def _kedas(signal: str, scenario: Scenario) -> Iterator[Candidate]:
    for target in thresholds(scenario):
        for down in _DOWN_SECONDS:
            for cooldown in _COOLDOWN_SECONDS:

                def make(
                    target: int = target, down: float = down, cooldown: float = cooldown
                ) -> Policy:
                    return Keda(
                        "length" if signal == "length" else "lag", target,
                        least=scenario.min_replicas, most=scenario.max_replicas,
                        down_seconds=down, cooldown_seconds=cooldown,
                        polling_seconds=_POLLING_SECONDS,
                    )  # fmt: skip

                yield f"{target} tasks, down {down:.0f} s, cooldown {cooldown:.0f} s", make


def _kpas(scenario: Scenario) -> Iterator[Candidate]:
    for target in thresholds(scenario):
        for stable in _STABLE_SECONDS:
            for panic in _PANIC_THRESHOLDS:

                def make(target: int = target, stable: float = stable, panic: float = panic) -> Kpa:
                    return Kpa(
                        target, least=scenario.min_replicas, most=scenario.max_replicas,
                        stable_seconds=stable, panic_threshold=panic,
                    )  # fmt: skip

                yield f"concurrency {target}, window {stable:.0f} s, panic {panic:.0f}", make


def _oracles(scenario: Scenario) -> Iterator[Candidate]:
    from asr_operator.simulate.oracle import Oracle, best_schedule

    most = min(scenario.max_replicas, scenario.model.gpus)
    for slack in _ORACLE_SLACK_SECONDS:
        within = max(1.0, scenario.target_seconds + slack)
        schedule = best_schedule(scenario.trace, scenario.model, most=most, within_seconds=within)
        yield f"work within {within:.0f} s", lambda schedule=schedule: Oracle(schedule, most=most)  # type: ignore[misc]

"""Output of a comparison: table rows, plain data, and verdicts as sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asr_operator.simulate.comparison import OURS, Entry
from asr_operator.simulate.outcome import Scenario, work_hours

COLUMNS = ("policy", "p50", "p95", "p99", "over", "GPU-h", "busy", "reversals", "killed")
WITHIN_OF_ORACLE = 0.15


def row(entry: Entry) -> tuple[str, ...]:
    """One table row: waits in seconds, share over the target, GPU-hours billed and busy, reversals,
    killed tasks."""
    outcome = entry.outcome
    return (
        entry.policy,
        f"{outcome.p50:.0f}",
        f"{outcome.p95:.0f}",
        f"{outcome.p99:.0f}",
        f"{outcome.over:.2%}",
        f"{outcome.billed_hours:.2f}",
        f"{outcome.busy_hours:.2f}",
        str(outcome.reversals),
        str(outcome.killed),
    )


def as_data(scenario: Scenario, entries: Sequence[Entry], objective: float) -> dict[str, Any]:
    """The same as table and sentences, as JSON-compatible data."""
    return {
        "trace": scenario.trace.name,
        "tasks": len(scenario.trace),
        "trace_seconds": scenario.trace.seconds,
        "work_gpu_hours": work_hours(scenario),
        "target_seconds": scenario.target_seconds,
        "objective": objective,
        "max_replicas": scenario.max_replicas,
        "model": asdict(scenario.model),
        "faults": asdict(scenario.faults),
        "policies": [
            {"policy": e.policy, "setting": e.setting, "settings_tried": e.tried, **_plain(e)}
            for e in entries
        ],
        "judgements": judgements(entries, objective),
    }


def _plain(entry: Entry) -> dict[str, Any]:
    found = asdict(entry.outcome)
    found.pop("samples")
    return found


def judgements(entries: Sequence[Entry], objective: float) -> list[str]:
    """The plan compared with its peers and the oracle, including the comparisons that it loses."""
    by_name = {entry.policy: entry for entry in entries}
    if OURS not in by_name:
        return []
    ours = by_name[OURS].outcome
    peers = [entry for entry in entries if entry.policy not in (OURS, "oracle")]
    sentences = []
    if peers:
        below = [e for e in peers if e.outcome.over < ours.over]
        sentences.append(
            _judged(not below, f"share over target, {ours.over:.2%}, is not above any peer's")
            + _listed(below, lambda e: f"{e.outcome.over:.2%}")
        )
        meeting = [e for e in peers if e.outcome.over <= objective]
        cheaper = [e for e in meeting if e.outcome.billed_hours <= ours.billed_hours]
        sentences.append(
            _judged(
                bool(meeting) and not cheaper,
                f"GPU-hours, {ours.billed_hours:.2f}, are below those of each of the "
                f"{len(meeting)} peers that keep {1 - objective:.0%} within the target",
            )
            + _listed(cheaper, lambda e: f"{e.outcome.billed_hours:.2f}")
        )
    if "oracle" in by_name:
        best = by_name["oracle"].outcome.billed_hours
        more = ours.billed_hours / best - 1 if best else 0.0
        sentences.append(
            _judged(
                more <= WITHIN_OF_ORACLE,
                f"GPU-hours are {more:+.0%} of the oracle's, within {WITHIN_OF_ORACLE:.0%}",
            )
        )
    return sentences


def _judged(holds: bool, what: str) -> str:
    return f"{'yes' if holds else 'no'}: {what}"


def _listed(entries: Sequence[Entry], number: Any) -> str:
    named = ", ".join(f"{entry.policy} {number(entry)}" for entry in entries)
    return f" ({named})" if named else ""

"""Charts of backlog and replicas over time, one row per policy, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr_operator.simulate.comparison import Entry
from asr_operator.simulate.outcome import Scenario

_MOST_POINTS = 2000


def sample_seconds(scenario: Scenario) -> float:
    """Time between two points, limited so that a day has at most 2000 points."""
    return max(1.0, scenario.trace.seconds / _MOST_POINTS)


def draw(scenario: Scenario, entries: Sequence[Entry], path: Path) -> None:
    """Entries must have samples. Raises `ModuleNotFoundError` without matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 2.0 * len(entries) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(entries), 2, sharex=True, sharey="col", squeeze=False)
    for (backlog, replicas), entry in zip(axes, entries, strict=True):
        samples = entry.outcome.samples
        hours = [sample.at / 3600 for sample in samples]
        backlog.fill_between(hours, [s.waiting for s in samples], color="#c0504d", alpha=0.7)
        backlog.set_ylabel("tasks waiting")
        replicas.step(
            hours, [s.replicas for s in samples], where="post", color="#1f4e79", label="asked for"
        )
        replicas.fill_between(
            hours, [s.ready for s in samples], step="post", color="#9dc3e6", label="ready"
        )
        replicas.set_ylabel("workers")
        outcome = entry.outcome
        backlog.set_title(
            f"{entry.policy}: {outcome.over:.2%} over {scenario.target_seconds:.0f} s, "
            f"{outcome.billed_hours:.1f} GPU-hours",
            loc="left",
            fontsize=10,
        )
    axes[0][1].legend(loc="upper right", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("hours")
    figure.suptitle(f"{scenario.trace.name}: {len(scenario.trace)} recordings", fontsize=11)
    figure.savefig(path, dpi=110)

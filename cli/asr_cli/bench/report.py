"""What was measured, as a table, as JSON and as a chart."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import typer


@dataclass
class Series:
    """One contender's figures: one a round, of rounds that all contenders ran in turn."""

    name: str
    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def ratio_to(self, other: Series) -> float:
        """Median of the ratios round by round: a noisy machine slows both."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)


@dataclass
class Finding:
    """A measurement: what was asked, what came out, and on what machine."""

    title: str
    command: str
    conditions: Mapping[str, Any]
    unit: str
    series: list[Series]
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        data = asdict(self)
        data["medians"] = {each.name: each.median for each in self.series}
        data["machine"] = machine()
        return data


def machine() -> dict[str, Any]:
    """Processor, cores, versions, GPU."""
    import torch

    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "gpu": None,
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def show(finding: Finding) -> None:
    """A table: medians, the rounds behind them, and each one's ratio to the last contender."""
    from rich.console import Console
    from rich.table import Table

    conditions = ", ".join(f"{key} {value}" for key, value in finding.conditions.items())
    table = Table(title=f"{finding.title}: {conditions}", title_justify="left")
    base = finding.series[-1]
    table.add_column("")
    for column in (finding.unit, f"x {base.name}", "rounds"):
        table.add_column(column, justify="right")
    for each in finding.series:
        rounds = " ".join(f"{value:.4g}" for value in each.rounds)
        table.add_row(each.name, f"{each.median:,.1f}", f"{each.ratio_to(base):.2f}", rounds)
    console = Console()
    console.print(table)
    for key, value in finding.details.items():
        console.print(f"  {key}: {value}", highlight=False, markup=False, soft_wrap=True)
    console.print()


def write(findings: Sequence[Finding], path: Path) -> None:
    """All of them as JSON."""
    path.write_text(json.dumps([each.as_data() for each in findings], indent=2) + "\n")
    typer.echo(f"figures in {path}", err=True)


def draw(finding: Finding, path: Path) -> None:
    """Medians as bars, each round as a dot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.5 * len(finding.series)), layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    names = [each.name for each in finding.series]
    axes.barh(names, [each.median for each in finding.series], color="#7aa6c2")
    for each in finding.series:
        axes.plot(each.rounds, [each.name] * len(each.rounds), "k.", markersize=4)
    axes.invert_yaxis()
    axes.set_xlabel(finding.unit)
    axes.set_title(finding.title)
    figure.savefig(path, dpi=120)
    typer.echo(f"chart in {path}", err=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())

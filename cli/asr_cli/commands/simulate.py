"""`asr simulate`: what the operator's plan and its peers would do with these arrivals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr_cli.console import fail, say

if TYPE_CHECKING:
    from asr_operator.planning.spec import PoolSpec
    from asr_operator.simulate.comparison import Entry
    from asr_operator.simulate.model import Faults
    from asr_operator.simulate.outcome import Scenario
    from asr_operator.simulate.trace import Trace

EXAMPLES = (
    "Examples: `asr simulate step`, `asr simulate arrivals.csv --plot out.png`, "
    "`asr simulate day --target 120 --startup 90 --outage 40000:60 --json`"
)
_Traces = Annotated[
    list[str] | None,
    typer.Argument(
        help="`step`, `ramp`, `sine`, `burst`, `day`, `cold`, `template`, or CSV files. "
        "[default: all seven]"
    ),
]
_Policies = Annotated[
    list[str] | None, typer.Option("--policy", help="Only this policy; repeatable.")
]


def simulate(
    traces: _Traces = None,
    target: Annotated[
        float, typer.Option(min=1, help="Seconds within which a task should start.")
    ] = 60.0,
    throughput: Annotated[
        float, typer.Option(min=0.001, help="Audio-seconds per second of one worker.")
    ] = 20.0,
    startup: Annotated[float, typer.Option(min=0, help="Seconds until a new pod is ready.")] = 30.0,
    startup_jitter: Annotated[
        float, typer.Option(min=0, max=1, help="Variation of that time, as a fraction.")
    ] = 0.2,
    min_replicas: Annotated[int, typer.Option(min=0, max=64, help="Fewest workers.")] = 0,
    max_replicas: Annotated[int, typer.Option(min=1, max=64, help="Most workers.")] = 8,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of the cluster.")] = 1000,
    down_window: Annotated[
        float | None, typer.Option(min=0, help="stabilizationSeconds.down of our plan.")
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Grace period of a stopped worker, in seconds.")
    ] = 30.0,
    drain: Annotated[
        bool, typer.Option(help="Stopped workers finish what fits into the grace period.")
    ] = True,
    outage: Annotated[
        list[str] | None, typer.Option(help="Redis outage, FROM:SECONDS; repeatable.")
    ] = None,
    restart: Annotated[
        list[float] | None, typer.Option(help="The autoscaler restarts at this second.")
    ] = None,
    objective: Annotated[
        float, typer.Option(min=0, max=1, help="Share of tasks that may miss the target.")
    ] = 0.01,
    mean_audio: Annotated[
        float, typer.Option(min=1, help="Mean seconds of a generated recording.")
    ] = 180.0,
    scale: Annotated[float, typer.Option(min=0.01, help="Factor on the generated load.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the generated trace.")] = 1,
    policy: _Policies = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a PNG of backlog and replicas over time.")
    ] = None,
    write_trace: Annotated[
        Path | None, typer.Option(help="Write the generated trace as CSV and exit.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay arrivals through the operator's plan, its tuned peers and an oracle, and compare."""
    from asr_operator.simulate.comparison import POLICIES, compare
    from asr_operator.simulate.model import ClusterModel
    from asr_operator.simulate.outcome import Scenario
    from asr_operator.simulate.picture import draw, sample_seconds
    from asr_operator.simulate.report import as_data
    from asr_operator.simulate.shapes import SHAPES, Workload, model_of
    from asr_operator.simulate.trace import write_trace as write

    names = traces or list(SHAPES)
    if (plot or write_trace) and len(names) != 1:
        fail("--plot and --write-trace take one trace", status=2)
    if unknown := set(policy or ()) - set(POLICIES):
        fail(f"no policy {', '.join(unknown)}: {', '.join(POLICIES)}", status=2)
    spec = _spec(target, min_replicas, max_replicas, down_window)
    model = ClusterModel(throughput, startup, startup_jitter, gpus, grace, drain, seed)
    faults = _faults(outage, restart)
    data = []
    for name in names:
        trace = _trace(name, Workload(throughput, mean_audio, scale, seed))
        if write_trace is not None:
            write(trace, write_trace)
            say(f"{len(trace)} arrivals in {write_trace}")
            return
        shaped = model_of(name, model)
        scenario = Scenario(trace, shaped, faults, target, max_replicas, min_replicas)
        entries = list(
            compare(
                scenario, spec, objective=objective, policies=policy or POLICIES,
                sample_seconds=sample_seconds(scenario) if plot else 0.0,
            )
        )  # fmt: skip
        data.append(as_data(scenario, entries, objective))
        if not as_json:
            _print(scenario, entries, objective)
        if plot is not None:
            draw(scenario, entries, plot)
            say(f"chart in {plot}")
    if as_json:
        typer.echo(json.dumps(data, indent=2))


def _spec(
    target: float, min_replicas: int, max_replicas: int, down_window: float | None
) -> PoolSpec:
    from asr_operator.planning.spec import PoolSpec

    windows = {} if down_window is None else {"stabilizationSeconds": {"down": down_window}}
    scaling = {"minReplicas": min_replicas, "maxReplicas": max_replicas, **windows}
    return PoolSpec.parse(
        {
            "scaleTargetRef": {"name": "asr-worker"},
            "scaling": {**scaling, "targetWaitSeconds": target},
        }
    )


def _faults(outages: list[str] | None, restarts: list[float] | None) -> Faults:
    from asr_operator.simulate.model import Faults

    try:
        pairs = [tuple(map(float, text.split(":"))) for text in outages or ()]
        return Faults(tuple((at, at + seconds) for at, seconds in pairs), tuple(restarts or ()))
    except ValueError:
        fail(f"an outage is FROM:SECONDS, not {outages}", status=2)


def _trace(name: str, work: object) -> Trace:
    from asr_operator.simulate.shapes import SHAPES, Workload, generate
    from asr_operator.simulate.trace import read_trace

    assert isinstance(work, Workload)
    return generate(name, work) if name in SHAPES else read_trace(Path(name))


def _print(scenario: Scenario, entries: list[Entry], objective: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from asr_operator.simulate.outcome import work_hours
    from asr_operator.simulate.report import COLUMNS, judgements, row

    trace = scenario.trace
    title = (
        f"{trace.name}: {len(trace)} recordings in {trace.seconds / 3600:.1f} h, "
        f"{work_hours(scenario):.2f} GPU-hours of work; target {scenario.target_seconds:.0f} s"
    )
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for entry in entries:
        table.add_row(*row(entry))
    console = Console()
    console.print(table)
    for entry in entries:
        if entry.tried > 1:
            best = f"{entry.policy} at its best of {entry.tried}: {entry.setting}"
            console.print(f"  {best}", highlight=False, soft_wrap=True)
    for line in judgements(entries, objective):
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    console.print()

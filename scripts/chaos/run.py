"""One seed from an empty folder to a verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr_cli.local.demo import find_demo
from asr_core.task import TERMINAL
from chaos.checks import Case, Expected, judge
from chaos.clients import Clients
from chaos.clips import Clip, make_clips
from chaos.evidence import count_events, gather_evidence, history_of, tracebacks
from chaos.faults import RECONCILE_SECONDS, Faults
from chaos.findings import Findings
from chaos.ledger import Ledger, Order
from chaos.load import Demand, Load
from chaos.plan import FAULTS, Fault, StoreKind
from chaos.programs import command_of
from chaos.quiet import until_quiet
from chaos.soak import Sample, describe, judge_flat, sample
from chaos.stage import Scene, Stage
from chaos.watch import Watcher

CLIPS = 20
SWEEP_AGE_SECONDS = 1.0
CHILD_SECONDS = 10.0
OFFENDERS_TOLD = 10
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """One seed: what is run, how much is submitted, what goes wrong."""

    seed: int
    store: StoreKind
    demand: Demand
    scene: Scene
    plan: Sequence[Fault]
    soak: bool = False


@dataclass
class Outcome:
    """What came of it. `problems` are lines for people; `row` is one line of the table."""

    trial: Trial
    findings: Findings
    row: dict[str, Any]
    faults: dict[str, int]
    missed: dict[str, int]
    problems: list[str] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    exceptions: dict[str, int] = field(default_factory=dict)
    course: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    @property
    def hold(self) -> bool:
        return self.findings.hold


async def run_trial(trial: Trial, tell: Tell) -> Outcome:
    """Start, baseline, load with faults, quiet, checks."""
    began = time.monotonic()
    ledger = Ledger()
    async with AsyncExitStack() as stack:
        tell("starting Redis, the store, APIs and workers")
        stage = await stack.enter_async_context(Stage(trial.scene))
        watcher = Watcher(stage, ledger)
        for loop in (watcher.listen(), watcher.look()):
            stack.push_async_callback(_end, asyncio.create_task(loop))
        clients = Clients(stage.urls, ledger)
        stack.push_async_callback(clients.close)
        faults = Faults(stage, watcher, ledger, spare_first=trial.soak)
        samples: list[Sample] = []
        clips = _clips()
        expected = await baseline(clips, clients, watcher, ledger, tell)
        load = Load(trial.demand, trial.seed, clips, clients, watcher)
        sampling = asyncio.create_task(sample(stage, watcher, samples, load.is_on))
        stack.push_async_callback(_end, sampling)
        await _under_fire(load, faults, trial.plan, tell)
        await _end(sampling)
        patience = RECONCILE_SECONDS + 3 * trial.scene.lease_seconds + 30
        await until_quiet(watcher, ledger, patience_seconds=patience, tell=tell)
        tell("checking")
        evidence = await gather_evidence(
            stage, watcher, clients, sweep_age_seconds=SWEEP_AGE_SECONDS
        )
        case = Case(
            ledger=ledger,
            evidence=evidence,
            expected=expected,
            orphans=watcher.orphans,
            programs=stage.programs,
            left_behind=await _left_behind(faults.left_behind),
            lease_seconds=trial.scene.lease_seconds,
            mended_by_reconcile=any(FAULTS[kind].mended_by_reconcile for kind in faults.done),
        )
        findings = judge(case)
        if trial.soak:
            judge_flat(samples, findings)
    (trial.scene.folder / "deeds.log").write_text("\n".join(map(str, ledger.deeds)))
    logs = trial.scene.folder / "logs"
    events = await asyncio.to_thread(count_events, logs)
    return Outcome(
        trial=trial,
        findings=findings,
        row=_row(trial, case, faults, events, time.monotonic() - began),
        faults=dict(faults.done),
        missed=dict(faults.missed),
        problems=[] if findings.hold else await asyncio.to_thread(_problems, trial, case, findings),
        events=dict(events),
        exceptions=await asyncio.to_thread(tracebacks, logs),
        course=describe(samples) if trial.soak else [],
        samples=samples if trial.soak else [],
    )


async def baseline(
    clips: Sequence[Clip], clients: Clients, watcher: Watcher, ledger: Ledger, tell: Tell
) -> dict[str, Expected]:
    """Every clip once while nothing goes wrong: what it says, or why it fails."""
    orders = [Order(f"calm-{clip.name}", clip, "normal") for clip in clips]
    await asyncio.gather(*(clients.place(order) for order in orders))
    if not await until_quiet(watcher, ledger, patience_seconds=60, tell=tell):
        raise RuntimeError("the platform does not work even without faults: see its logs")
    ids = [order.task_id for order in orders]
    found = await watcher.hashes(ids, ("state", "error_code"))
    expected: dict[str, Expected] = {}
    for order, values in zip(orders, found, strict=True):
        completed = values["state"] == "completed"
        if completed is order.clip.doomed:
            raise RuntimeError(f"{order.clip.name} unexpectedly {values}")
        answer = await clients.result(order.task_id) if completed else None
        text = Expected.text_of(answer) if answer else ""
        expected[order.clip.name] = Expected(text, values["error_code"])
    return expected


async def _under_fire(load: Load, faults: Faults, plan: Sequence[Fault], tell: Tell) -> None:
    """Offer the load while the plan unfolds."""
    ledger = load.clients.ledger

    async def report() -> None:
        while True:
            ended = sum(_ended(changes) for changes in ledger.changes.values())
            counts = f"{len(ledger.accepted)} accepted, {ended} ended"
            tell(f"{counts}, {faults.done.total()} of {len(plan)} faults")
            await asyncio.sleep(1)

    reporting = asyncio.create_task(report())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(faults.run(plan))
            group.create_task(load.offer())
    finally:
        await _end(reporting)


def _ended(changes: Sequence[Any]) -> bool:
    return any(c.what.split()[0] in TERMINAL for c in changes[-2:])


def _clips() -> list[Clip]:
    demo = find_demo()
    if demo is None:
        raise RuntimeError("the embedded model's recording is not installed: run `make run` once")
    return make_clips(demo.audio, count=CLIPS)


async def _left_behind(pids: set[int]) -> list[str]:
    """Children of killed programs that are still there; they get a moment to notice."""
    deadline = time.monotonic() + CHILD_SECONDS
    while True:
        commands = {pid: command_of(pid) for pid in pids}
        alive = [f"{pid} {c}" for pid, c in commands.items() if "asr_" in c or "multiproc" in c]
        if not alive or time.monotonic() > deadline:
            return alive
        await asyncio.sleep(0.2)


def _row(
    trial: Trial, case: Case, faults: Faults, events: dict[str, int], seconds: float
) -> dict[str, Any]:
    totals = case.evidence.totals
    waits = [orphan.waited_seconds for orphan in case.orphans if not orphan.excused]
    return {
        "seed": trial.seed,
        "store": trial.store,
        "tasks": trial.demand.tasks,
        "accepted": len(case.ledger.accepted),
        "completed": totals.completed,
        "failed": totals.failed,
        "cancelled": totals.cancelled,
        "deleted": sum(order.deleted for order in case.ledger.accepted),
        "faults": faults.done.total(),
        "orphans": len(case.orphans),
        "reclaimed": case.evidence.crashed,
        "max_claim_s": round(max(waits, default=0.0), 1),
        "fenced": sum(n for event, n in events.items() if event.endswith("result refused")),
        "swept": case.evidence.swept.get("deleted", 0),
        "seconds": round(seconds, 1),
    }


def _problems(trial: Trial, case: Case, findings: Findings) -> list[str]:
    """Seed, plan, and the history of the first offenders."""
    offenders = findings.offenders()
    lines = [f"seed {trial.seed}, store {trial.store}; the plan was:"]
    lines += [f"  {fault}" for fault in trial.plan]
    for name, whys in list(offenders.items())[:OFFENDERS_TOLD]:
        lines += ["", *(f"!! {name}: {why}" for why in whys)]
        lines += [f"   {line}" for line in _history(name, case, trial.scene.folder)]
    if len(offenders) > OFFENDERS_TOLD:
        lines.append(f"... and {len(offenders) - OFFENDERS_TOLD} more")
    return lines


def _history(name: str, case: Case, folder: Path) -> list[str]:
    if name not in case.evidence.tasks and case.ledger.order_of(name) is None:
        return []
    reported = history_of(name, case.ledger, folder / "logs")
    return [*reported, f"hash     {case.evidence.tasks.get(name, 'none')}"]


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

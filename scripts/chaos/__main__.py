"""`python -m chaos`: the promise put to the proof, seed by seed."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from chaos.load import Demand
from chaos.plan import FAULTS, SOAK_FAULTS, StoreKind, draw_plan, kinds_for
from chaos.run import Outcome, Trial, run_trial
from chaos.stage import Scene

EXAMPLES = f"""
examples:
  python -m chaos --tasks 200 --seeds 1                    one short run on a folder
  python -m chaos --tasks 2000 --seeds 1-10 --store both   the long one
  python -m chaos --seeds 7 --faults kill_worker,kill_redis --keep chaos-7
  python -m chaos --minutes 30 --rate 3                    a soak: is memory flat, is the rate?

faults: {", ".join(FAULTS)}
"""
CHAOS_EVERY, SOAK_EVERY, SOAK_RATE = 25.0, 100.0, 3.0
_TELL_SECONDS = 10.0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        description="Start the real programs, submit recordings, make things fail by a seeded "
        "plan, and account for every accepted task. Exit status 0 only if every check holds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--tasks", type=_count, default=500, help="per seed (default 500)")
    add("--seeds", type=_seeds, default=[1], help="such as 7, 1,2,3 or 1-10 (default 1)")
    add("--store", choices=("folder", "s3", "both"), default="folder", help="both: by turns")
    add("--apis", type=_count, default=2, help="API processes (default 2)")
    add("--workers", type=_count, default=2, help="worker processes (default 2)")
    add("--lease", type=float, default=30.0, metavar="SECONDS", help="default 30")
    add("--minutes", type=float, help="a soak of so long at a steady --rate (default 3); one seed")
    add("--rate", type=float, default=0.0, help="submissions per second (default: see --backlog)")
    add("--backlog", type=_count, default=80, help="tasks kept open without --rate (default 80)")
    add("--every", type=float, metavar="TASKS", help="between faults (default 25; soak: 100)")
    add("--faults", type=_names, default=(), help="only these, separated by commas")
    add("--json", type=Path, metavar="FILE", help="also write the report there")
    add("--keep", type=_empty, metavar="FOLDER", help="keep logs, Redis and store there")
    asked = parser.parse_args(arguments)
    if asked.minutes:
        asked.rate = asked.rate or SOAK_RATE
        asked.tasks = round(asked.minutes * 60 * asked.rate)
        asked.faults = asked.faults or SOAK_FAULTS
    asked.every = asked.every or (SOAK_EVERY if asked.minutes else CHAOS_EVERY)
    return asked


def main() -> int:
    """The exit status."""
    asked = parse()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    outcomes: list[Outcome] = []
    holds = False
    try:
        for number, seed in enumerate(asked.seeds):
            trial = plan_trial(asked, seed, number, folder / f"seed-{seed}")
            outcomes.append(asyncio.run(run_trial(trial, _Telling(f"seed {seed}"))))
            report(outcomes[-1])
            if outcomes[-1].hold and not asked.keep:
                shutil.rmtree(trial.scene.folder)
        holds = all(outcome.hold for outcome in outcomes)
    finally:
        summary(outcomes)
        if asked.json:
            rows = [_as_json(outcome) for outcome in outcomes]
            asked.json.write_text(json.dumps(rows, indent=2))
        if asked.keep or not holds:
            print(f"logs, Redis and store are in {folder}")
        else:
            shutil.rmtree(folder)
    return 0 if holds else 1


def plan_trial(asked: argparse.Namespace, seed: int, number: int, folder: Path) -> Trial:
    """What one seed means."""
    store: StoreKind = ("folder", "s3")[number % 2] if asked.store == "both" else asked.store
    plan = draw_plan(
        seed,
        tasks=asked.tasks,
        every_tasks=asked.every,
        kinds=kinds_for(store, asked.faults),
        workers=asked.workers,
        apis=asked.apis,
        lease_seconds=asked.lease,
    )
    scene = Scene(store, asked.apis, asked.workers, asked.lease, folder)
    demand = Demand(asked.tasks, asked.rate, asked.backlog)
    return Trial(seed, store, demand, scene, plan, soak=bool(asked.minutes))


def report(outcome: Outcome) -> None:
    """One seed, for people."""
    print(f"\nseed {outcome.trial.seed}, store {outcome.trial.store}")
    print("  faults: " + ", ".join(f"{n} {kind}" for kind, n in sorted(outcome.faults.items())))
    if outcome.missed:
        print("  missed: " + ", ".join(f"{n} {k}" for k, n in sorted(outcome.missed.items())))
    print("\n".join([*map(str, outcome.findings.checks), *outcome.course]))
    for event, count in sorted(outcome.events.items()):
        if event.startswith(("error", "critical")):
            print(f"  logged  {count} x {event}")
    for what, count in sorted(outcome.exceptions.items()):
        print(f"  raised  {count} x {what}")
    print("\n".join(outcome.problems))


def summary(outcomes: list[Outcome]) -> None:
    """The table of all seeds, and the totals."""
    rows = [{**o.row, "verdict": "ok" if o.hold else "BROKEN"} for o in outcomes]
    if not rows:
        return
    sums = {name: sum(row[name] for row in rows) for name in rows[0] if name not in _NOT_SUMMED}
    total = {**dict.fromkeys(rows[0], ""), **sums, "seed": "all"}
    total["seconds"] = round(sum(row["seconds"] for row in rows), 1)
    total["max_claim_s"] = max(row["max_claim_s"] for row in rows)
    total["verdict"] = "ok" if all(o.hold for o in outcomes) else "BROKEN"
    widths = {n: max(len(n), *(len(str(r[n])) for r in [*rows, total])) for n in rows[0]}
    for row in [dict(zip(widths, widths, strict=True)), *rows, total]:
        print("  ".join(f"{row[name]!s:>{width}}" for name, width in widths.items()))


_NOT_SUMMED = frozenset({"seed", "store", "max_claim_s", "verdict"})


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {
        **outcome.row,
        "holds": outcome.hold,
        "faults": outcome.faults,
        "missed": outcome.missed,
        "checks": [
            {"says": c.says, "looked_at": c.looked_at, "offences": c.offences}
            for c in outcome.findings.checks
        ],
        "course": outcome.course,
        "samples": [sample.as_fields() for sample in outcome.samples],
        "log_events": outcome.events,
        "exceptions": outcome.exceptions,
        "problems": outcome.problems,
    }


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        kinds_for("s3", names)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return names


def _empty(text: str) -> Path:
    folder = Path(text).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise argparse.ArgumentTypeError(f"{folder} is not empty: a Redis would find old data")
    return folder


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError(text)
    return count


class _Telling:
    """Progress on one line of a terminal; elsewhere now and then as a line."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._began = time.monotonic()
        self._told_at = 0.0

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        line = f"{self._prefix}  {now - self._began:5.0f} s  {text}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif now - self._told_at > _TELL_SECONDS:
            self._told_at = now
            print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

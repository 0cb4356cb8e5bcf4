"""The report as plain data: what `--json` writes and the table shows. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from asr_cli.load.ledger import Ledger, LostTask
from asr_cli.load.percentiles import Percentiles, percentiles
from asr_cli.load.plan import LoadPlan
from asr_cli.load.problem import Problem

SCHEMA = 1


@dataclass(frozen=True)
class Target:
    """What the load went to; None where the server did not say."""

    url: str
    version: str | None
    workers: int | None
    models: tuple[str, ...]
    lane: str
    pool: str
    audio: tuple[str, ...]


@dataclass(frozen=True)
class Course:
    """How the run went: `started_at` in ISO 8601, UTC.

    `unsent`: arrivals of an open loop for which no client was free in time. `interrupted`: by
    Ctrl-C, at any moment. `deleted`: None unless it was asked for.
    """

    started_at: str
    load_seconds: float
    drain_seconds: float
    unsent: int = 0
    interrupted: bool = False
    deleted: int | None = None


@dataclass(frozen=True)
class Counts:
    """submitted = accepted + rejected + unknown;
    accepted = completed + failed + cancelled + lost + unfinished.
    """

    submitted: int
    accepted: int
    rejected: int
    unknown: int
    asked_again: int
    unsent: int
    completed: int
    failed: int
    cancelled: int
    lost: int
    unfinished: int


@dataclass(frozen=True)
class Latencies:
    """Seconds. `wait` and `processing` are the server's own times of the last attempt."""

    submit: Percentiles
    wait: Percentiles
    processing: Percentiles
    total: Percentiles


@dataclass(frozen=True)
class Report:
    """All figures; `throughput` is of what completed while load was offered."""

    target: Target
    plan: LoadPlan
    course: Course
    counts: Counts
    tasks_per_second: float
    audio_seconds_per_second: float
    latencies: Latencies
    problems: tuple[tuple[Problem, int], ...]
    failures: dict[str, int]
    lost: tuple[LostTask, ...]
    unfinished: tuple[str, ...]
    unknown_keys: tuple[str, ...]

    @property
    def accounted_for(self) -> bool:
        """Whether nothing was lost and something was completed."""
        return not self.counts.lost and bool(self.counts.completed)

    def as_json(self) -> dict[str, Any]:
        """`schema` changes when a name here changes or goes."""
        plan = {"mode": self.plan.mode.removesuffix(" loop"), **asdict(self.plan)}
        errors = [{**asdict(problem), "count": count} for problem, count in self.problems]
        return {
            "schema": SCHEMA,
            "target": asdict(self.target),
            "plan": plan,
            "course": asdict(self.course),
            "counts": asdict(self.counts),
            "throughput": {
                "tasks_per_second": self.tasks_per_second,
                "audio_seconds_per_second": self.audio_seconds_per_second,
            },
            "latency_seconds": asdict(self.latencies),
            "errors": errors,
            "failures": self.failures,
            "lost": [asdict(task) for task in self.lost],
            "unfinished": list(self.unfinished),
            "unknown_keys": list(self.unknown_keys),
        }


def build_report(ledger: Ledger, target: Target, plan: LoadPlan, course: Course) -> Report:
    """The account of a closed ledger."""
    per_second = 1 / course.load_seconds if course.load_seconds > 0 else 0.0
    return Report(
        target=target,
        plan=plan,
        course=course,
        counts=_counts(ledger, course),
        tasks_per_second=round(ledger.completed_in_time * per_second, 3),
        audio_seconds_per_second=round(ledger.audio_seconds_in_time * per_second, 3),
        latencies=Latencies(
            submit=percentiles(ledger.submit_seconds),
            wait=percentiles(ledger.wait_seconds),
            processing=percentiles(ledger.processing_seconds),
            total=percentiles(ledger.total_seconds),
        ),
        problems=tuple(ledger.problems.most_common()),
        failures=dict(ledger.failures.most_common()),
        lost=tuple(ledger.lost),
        unfinished=tuple(ledger.unfinished),
        unknown_keys=tuple(sorted(ledger.asked)),
    )


def _counts(ledger: Ledger, course: Course) -> Counts:
    return Counts(
        submitted=ledger.submitted,
        accepted=ledger.accepted,
        rejected=ledger.rejected,
        unknown=len(ledger.asked),
        asked_again=ledger.asked_again,
        unsent=course.unsent,
        completed=ledger.states["completed"],
        failed=ledger.states["failed"],
        cancelled=ledger.states["cancelled"],
        lost=len(ledger.lost),
        unfinished=len(ledger.unfinished),
    )

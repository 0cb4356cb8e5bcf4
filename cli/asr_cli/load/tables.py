"""The report as a person reads it."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from asr_cli.load.percentiles import Percentiles
from asr_cli.load.report import Report

_IDS_SHOWN = 10


def print_report(report: Report, console: Console) -> None:
    """What went where, what became of it, how long it took, and what went wrong."""
    console.print(_heading(report), markup=False, highlight=False)
    console.print(_counts_table(report))
    console.print(_latency_table(report))
    if report.problems or report.failures:
        console.print(_errors_table(report))
    if report.lost:
        console.print(_lost_table(report))
    for line in _remarks(report):
        console.print(line, markup=False, highlight=False)


def _heading(report: Report) -> str:
    target, plan, course = report.target, report.plan, report.course
    version = f"asr-platform {target.version}" if target.version else "version unknown"
    workers = "" if target.workers is None else f", workers: {target.workers}"
    models = f" ({', '.join(target.models)})" if target.models else ""
    rate = "" if plan.rate is None else f" at {plan.rate:g} tasks/s"
    return (
        f"{target.url}: {version}{workers}{models}\n"
        f"{plan.mode}{rate}, clients: {plan.concurrency}, load {course.load_seconds:.1f} s, "
        f"drain {course.drain_seconds:.1f} s{', interrupted' if course.interrupted else ''}"
    )


def _counts_table(report: Report) -> Table:
    counts = report.counts
    table = _table("tasks", "", "")
    table.columns[1].justify = "right"
    table.add_row("submitted", str(counts.submitted), _if(counts.asked_again, "{} asked again"))
    table.add_row("accepted", str(counts.accepted), "")
    if counts.rejected:
        table.add_row("rejected", str(counts.rejected), "never answered with 202")
    if counts.unknown:
        table.add_row("unknown", str(counts.unknown), "no answer came, even when asked again")
    if counts.unsent:
        table.add_row("unsent", str(counts.unsent), "no client was free: raise CONCURRENCY")
    table.add_section()
    speed = (
        f"{report.tasks_per_second:.2f} tasks/s, "
        f"{report.audio_seconds_per_second:.1f} audio-seconds/s"
    )
    table.add_row("completed", str(counts.completed), speed)
    table.add_row("failed", str(counts.failed), "")
    if counts.cancelled:
        table.add_row("cancelled", str(counts.cancelled), "")
    if counts.unfinished:
        table.add_row("unfinished", str(counts.unfinished), "the drain was interrupted")
    style = "bold red" if counts.lost else ""
    table.add_row("lost", str(counts.lost), "", style=style)
    return table


def _latency_table(report: Report) -> Table:
    names = ("p50", "p90", "p95", "p99", "max")
    table = _table("seconds", *names, "count")
    for column in table.columns[1:]:
        column.justify = "right"
    latencies = report.latencies
    for name, measured in (
        ("submit", latencies.submit),
        ("wait in queue", latencies.wait),
        ("processing", latencies.processing),
        ("total", latencies.total),
    ):
        table.add_row(name, *_cells(measured), str(measured.count))
    return table


def _cells(measured: Percentiles) -> list[str]:
    values = (measured.p50, measured.p90, measured.p95, measured.p99, measured.max)
    return ["–" if value is None else f"{value:.3f}" for value in values]


def _errors_table(report: Report) -> Table:
    table = _table("error", "count")
    table.columns[1].justify = "right"
    for problem, count in report.problems:
        table.add_row(str(problem), str(count))
    for code, count in report.failures.items():
        table.add_row(f"task failed: {code or 'no code'}", str(count))
    return table


def _lost_table(report: Report) -> Table:
    table = _table("lost task", "last state", "reason")
    for task in report.lost[:_IDS_SHOWN]:
        table.add_row(task.task_id, task.last_state, task.reason)
    return table


def _remarks(report: Report) -> list[str]:
    counts, course = report.counts, report.course
    remarks = []
    if not counts.lost and not counts.unfinished and counts.accepted:
        remarks.append(f"nothing lost: all {counts.accepted} accepted tasks reached a final state")
    if counts.lost > _IDS_SHOWN:
        remarks.append(f"and {counts.lost - _IDS_SHOWN} more lost tasks: --json names them all")
    if counts.lost and course.drain_seconds >= report.plan.drain_seconds:
        remarks.append("if the queue is merely long, give it more time: --drain-seconds")
    if course.deleted is not None:
        remarks.append(f"deleted {course.deleted} tasks")
    if counts.completed and not report.tasks_per_second:
        remarks.append("nothing completed while load was offered: a rate needs more SECONDS")
    return remarks


def _table(*columns: str) -> Table:
    return Table(*columns, box=SIMPLE, padding=(0, 1), pad_edge=False)


def _if(count: int, text: str) -> str:
    return text.format(count) if count else ""

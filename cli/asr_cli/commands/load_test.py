"""`asr load-test`: load on a server, and an account of every task that it accepted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_cli.commands.option_flags import ApiKeyFlag, ServerFlag, asked, with_option_flags
from asr_cli.console import fail
from asr_core.task import DEFAULT_POOL, Lane

if TYPE_CHECKING:
    from asr_cli.load.recording import Recording
    from asr_cli.load.report import Report

_INTERRUPTED = 130

EXAMPLES = """
Exit status: 0: every accepted task reached a final state; 1: a task was lost, none completed, or no
server answers; 2: usage error; 130: a second Ctrl-C left tasks unfinished.

Examples:

- `asr load-test 20 60`
- `asr load-test 200 300 --audio short.wav --audio long.mp3 --lane batch --json report.json`
- `asr load-test 500 60 --rate 40` submits 40 tasks a second, however slow the server is
- `asr load-test 20 60 --json - | jq .latency_seconds.total.p99`
"""


@with_option_flags
def load_test(
    concurrency: Annotated[
        int,
        typer.Argument(
            metavar="CONCURRENCY",
            min=1,
            max=10_000,
            help="Clients, each with a connection of its own.",
        ),
    ],
    seconds: Annotated[
        float, typer.Argument(metavar="SECONDS", help="How long to submit new tasks.")
    ],
    server: ServerFlag = None,
    api_key: ApiKeyFlag = None,
    audio: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            readable=True,
            help="Recordings, used in turn.  [default: the bundled one]",
        ),
    ] = None,
    lane: Annotated[Lane, typer.Option(help="Priority.")] = Lane.NORMAL,
    pool: Annotated[str, typer.Option(help="Pool of workers.")] = DEFAULT_POOL,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="TASKS_PER_SECOND",
            help="Open loop: submit at this rate, however slow the server is; latency counts "
            "from the scheduled time.  [default: closed loop, each client waits for its task]",
        ),
    ] = None,
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="How long to wait for accepted tasks afterwards.")
    ] = 120.0,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            allow_dash=True,
            dir_okay=False,
            help="Also write the report as JSON; `-`: to stdout, and the table to stderr.",
        ),
    ] = None,
    delete: Annotated[
        bool,
        typer.Option(
            "--delete/--keep",
            help="Delete each task when it has ended, so that it does not displace your own "
            "recordings (MAX_RECORDINGS); --keep leaves them to retention.",
        ),
    ] = True,
    **flags: Any,
) -> None:
    """Submit recordings from CONCURRENCY clients for SECONDS, and account for every accepted task.

    Each client submits a recording, waits until the task has ended, and submits the next. Errors
    are counted by kind and never retried silently; only a submission whose reply was lost is sent
    again, with its idempotency key. A task is lost if it was accepted (202) and then disappears, or
    has no final state after the drain. Ctrl-C ends the load early and still reports; a second one
    also ends the drain.
    """
    import asyncio

    from asr_cli.load.open_files import allow_open_files
    from asr_cli.load.plan import LoadPlan
    from asr_cli.load.run import run_load
    from asr_cli.local.running_platform import default_server
    from asr_platform import ClientError, InvalidArgument, ServerUnreachable
    from asr_platform.address import authorization
    from asr_platform.options import form_fields

    plan = LoadPlan(
        concurrency=concurrency,
        seconds=_positive(seconds, "SECONDS"),
        rate=None if rate is None else _positive(rate, "--rate"),
        drain_seconds=drain_seconds,
    )
    try:
        allow_open_files(plan.open_files)
        _check_writable(json_file)
        fields = form_fields({"lane": lane.value, "pool": pool, **asked(flags)})
        recordings = _recordings(audio, fields)
    except (OSError, ValueError, InvalidArgument) as error:
        fail(str(error), status=2)
    try:
        address, headers = server or default_server(), authorization(api_key)
        report = asyncio.run(run_load(plan, address, recordings, headers, delete=delete))
    except ServerUnreachable as error:
        fail(f"{error}; start one with `asr up`, or name another with --server")
    except ClientError as error:
        fail(str(error))
    _tell(report, json_file)
    raise typer.Exit(_exit_status(report))


def _exit_status(report: Report) -> int:
    if report.counts.unfinished:
        return 1 if report.counts.lost else _INTERRUPTED
    return 0 if report.accounted_for else 1


def _positive(number: float, name: str) -> float:
    if not (math.isfinite(number) and number > 0):
        fail(f"{name} must be a number greater than 0, not {number:g}", status=2)
    return number


def _check_writable(json_file: Path | None) -> None:
    """OSError before the load, not after it."""
    if json_file is not None and str(json_file) != "-":
        json_file.open("a").close()


def _recordings(audio: list[Path] | None, fields: dict[str, str]) -> list[Recording]:
    from asr_cli.load.recording import Recording
    from asr_cli.local.demo import find_demo

    demo = None if audio else find_demo()
    paths = audio or ([demo.audio] if demo else [])
    if not paths:
        raise ValueError("the bundled recording is not installed: name one with --audio")
    recordings = []
    for path in paths:
        try:
            recordings.append(Recording(path, fields))
        except ValueError:
            raise ValueError(f"{path} is empty") from None
    return recordings


def _tell(report: Report, json_file: Path | None) -> None:
    import json

    from rich.console import Console

    from asr_cli.load.tables import print_report

    to_stdout = json_file is not None and str(json_file) == "-"
    print_report(report, Console(stderr=to_stdout))
    if json_file is None:
        return
    text = json.dumps(report.as_json(), indent=2)
    if to_stdout:
        typer.echo(text)
    else:
        json_file.write_text(text + "\n", encoding="utf-8")

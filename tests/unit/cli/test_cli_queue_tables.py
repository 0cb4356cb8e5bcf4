from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from typer.testing import CliRunner

from asr_cli.commands.queue_tables import (
    backlog_json,
    backlog_tables,
    dead_letters_json,
    dead_letters_table,
    duration,
    workers_table,
)
from asr_cli.main import app
from asr_core.options import TaskOptions
from asr_core.queue import Backlog, DeadLetter, DeadLetterPage, LaneBacklog, WorkerRecord
from asr_core.task import Lane, State, Task

BACKLOG = Backlog(
    pool="default",
    signal="ok",
    run_id="r",
    trusted=True,
    waiting=12,
    in_flight=3,
    orphans=1,
    held=2,
    delayed=5,
    delayed_due=4,
    dead=6,
    audio_seconds=754.0,
    oldest_wait_seconds=61.0,
    lanes={Lane.NORMAL: LaneBacklog(8, 3, 1, 2, 754.0)},
)
WORKER = WorkerRecord(
    consumer="w-1-ab",
    worker="w-1",
    pool="default",
    slots=8,
    busy=3,
    in_flight_seconds=30.0,
    throughput=41.5,
    startup_seconds=4.0,
    model="embedded",
    engine="sensevoice",
    device="cpu",
    version="0.1.0",
    tasks_done=17,
    started_at=0.0,
    cordoned=True,
)
LETTER = DeadLetter(
    task=Task(
        task_id="t-1",
        state=State.FAILED,
        pool="default",
        lane=Lane.NORMAL,
        tenant="default",
        filename="[red]talk[/red].wav",
        content_type="audio/wav",
        bytes=3,
        duration_seconds=90.0,
        options=TaskOptions(),
        attempt=5,
        crashes=4,
        created_at=0.0,
        queued_at=0.0,
    ),
    reason="crashed three workers alone",
    died_at=1_700_000_000.0,
)


def test_the_tables_show_every_count(capsys: pytest.CaptureFixture[str]) -> None:
    backlog_tables(BACKLOG, [WORKER])
    shown = capsys.readouterr().out
    for part in (
        "normal",
        "12",
        "13 min",
        "w-1",
        "3/8",
        "41.5",
        "17",
        "cordoned",
        "dead letters 6",
    ):
        assert part in shown


def test_an_empty_queue_says_why_it_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    empty = Backlog(
        **{**BACKLOG.__dict__, "signal": "no_stream", "trusted": False, "lanes": {}, "waiting": 0}
    )
    backlog_tables(empty, [])
    shown = capsys.readouterr().out
    assert "nothing has been submitted" in shown
    assert "no live worker" in shown
    assert "orphans are not known yet" in shown


def test_json_holds_what_the_tables_hold() -> None:
    told = json.loads(json.dumps(backlog_json(BACKLOG, [WORKER])))
    assert told["lanes"]["normal"]["waiting"] == 8
    assert told["workers"][0]["throughput"] == 41.5


def test_dead_letters_tell_task_reason_and_the_next_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    dead_letters_table(DeadLetterPage([LETTER], "17-0"))
    shown = capsys.readouterr().out
    for part in ("t-1", "2023-11-14", "crashed three workers alone", "--cursor 17-0"):
        assert part in shown


def test_a_file_name_is_shown_as_it_is_and_not_as_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    dead_letters_table(DeadLetterPage([LETTER], ""))
    assert "[red]talk[/red].wav" in capsys.readouterr().out


def test_dead_letters_as_json_hold_the_whole_task() -> None:
    told = json.loads(json.dumps(dead_letters_json(DeadLetterPage([LETTER], ""))))
    assert told["next_cursor"] == ""
    assert told["dead_letters"][0]["crashes"] == 4


def test_durations_are_told_in_a_fitting_unit() -> None:
    assert [duration(s) for s in (0, 7.54, 90, 12_000)] == ["0.0 s", "7.5 s", "2 min", "3 h 20 min"]


def test_dead_letters_are_said_to_come_of_errors_as_well_as_of_crashes() -> None:
    shown = CliRunner().invoke(app, ["queue", "dead", "--help"], env={"COLUMNS": "200"}).output
    assert "failed after repeated errors or worker crashes" in shown


def test_why_a_worker_takes_no_work_stands_beside_it() -> None:
    console = Console(width=200, file=StringIO())
    console.print(workers_table([replace(WORKER, problem="the disk of /work is full")]))
    assert "the disk of /work is full" in console.file.getvalue()

"""`asr load-test` against a real API, Redis and store, with a stand-in for the worker."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Recordings = Callable[..., list[str]]
PERCENTILES = ["count", "p50", "p90", "p95", "p99", "max"]
KEYS = {
    "schema": None,
    "target": ["url", "version", "workers", "models", "lane", "pool", "audio"],
    "plan": ["mode", "concurrency", "seconds", "rate", "drain_seconds"],
    "course": [
        "started_at", "load_seconds", "drain_seconds", "unsent", "interrupted", "deleted",
    ],
    "counts": [
        "submitted", "accepted", "rejected", "unknown", "asked_again", "unsent", "completed",
        "failed", "cancelled", "lost", "unfinished",
    ],
    "throughput": ["tasks_per_second", "audio_seconds_per_second"],
    "latency_seconds": ["submit", "wait", "processing", "total"],
    "errors": None,
    "failures": None,
    "lost": None,
    "unfinished": None,
    "unknown_keys": None,
}  # fmt: skip


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


def until_open(api_url: str, count: int) -> list[str]:
    """The ids of the tasks, once so many have been accepted."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        tasks = get(f"{api_url}/api/v1/asr/history")["tasks"]
        if len(tasks) >= count:
            return [task["task_id"] for task in tasks]
        time.sleep(0.05)
    raise AssertionError(f"{count} tasks were not accepted")


def end_of(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """Exit status, report and stderr."""
    out, err = process.communicate(timeout=120)
    return process.returncode, json.loads(out), err


@pytest.mark.usefixtures("stand_in_worker")
def test_its_counts_are_those_of_the_server(
    asr: Any, api_url: str, recordings: Recordings, tmp_path: Path
) -> None:
    files = recordings("a.wav", "bad.wav")
    audio = [part for file in files for part in ("--audio", file)]
    done = asr("load-test", "3", "2", *audio, "--lane", "batch", "--json", "report.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    counts, totals = report["counts"], get(f"{api_url}/api/v1/stats")["totals"]
    assert counts["completed"] == totals["completed"] > 0
    assert counts["failed"] == totals["failed"] > 0
    assert counts["accepted"] == counts["submitted"] == counts["completed"] + counts["failed"]
    assert report["failures"] == {"permanent_failure": counts["failed"]}
    assert report["errors"] == []
    assert report["latency_seconds"]["submit"]["count"] == counts["accepted"]
    assert report["latency_seconds"]["wait"]["count"] == counts["completed"]
    assert report["latency_seconds"]["wait"]["max"] < report["latency_seconds"]["total"]["max"]
    assert "nothing lost" in done.stdout


@pytest.mark.usefixtures("stand_in_worker")
def test_json_on_stdout_keeps_its_names_and_a_pipe_gets_plain_lines(
    asr: Any, recordings: Recordings
) -> None:
    (file,) = recordings("a.wav")
    status, report, told = end_of(asr.start("load-test", "2", "2", "--audio", file, "--json", "-"))
    assert status == 0, told
    assert {k: list(v) if isinstance(v, dict) else None for k, v in report.items()} == {
        **KEYS,
        "failures": [],
    }
    for percentiles in report["latency_seconds"].values():
        assert list(percentiles) == PERCENTILES
    assert report["schema"] == 1
    assert report["course"]["deleted"] == report["counts"]["accepted"] > 0
    assert get(f"{report['target']['url']}/api/v1/asr/history")["tasks"] == []
    line = r"^\d+ of 2 s: submitted \d+, completed \d+, in flight \d+, [\d.]+ tasks/s, errors 0$"
    assert len(re.findall(line, told, re.MULTILINE)) >= 2
    assert "\x1b" not in told
    assert "audio-seconds/s" in told


@pytest.mark.usefixtures("stand_in_worker")
def test_a_users_recordings_outlive_a_load_test(
    asr: Any, api_url: str, recordings: Recordings
) -> None:
    """It deletes its own while it goes on, and so none of them takes a place among the newest."""
    mine = recordings("mine-1.wav", "mine-2.wav")
    assert asr("transcribe", *mine).returncode == 0
    limits = {"MAX_RECORDINGS": "2", "ASR_RECORDINGS_MIN_AGE_MINUTES": "0"}
    run = asr.start("load-test", "1", "60", "--audio", recordings("a.wav")[0], "--json", "-")
    totals = {"completed": 0}
    while totals["completed"] < 12:
        totals = get(f"{api_url}/api/v1/stats")["totals"]
    run.send_signal(signal.SIGSTOP)  # at any moment: at most one of its tasks is there
    done = asr("retention", "--dry-run", "--json", **limits)
    run.send_signal(signal.SIGCONT)
    run.send_signal(signal.SIGINT)
    assert json.loads(done.stdout)["recordings_deleted"] <= 1
    status, report, told = end_of(run)
    assert status == 0, told
    assert report["course"]["deleted"] == report["counts"]["accepted"]
    left = get(f"{api_url}/api/v1/asr/history")["tasks"]
    assert {task["filename"] for task in left} == {"mine-1.wav", "mine-2.wav"}
    kept = asr("load-test", "1", "0.2", "--audio", recordings("a.wav")[0], "--json", "-", "--keep")
    assert json.loads(kept.stdout)["course"]["deleted"] is None
    assert len(get(f"{api_url}/api/v1/asr/history")["tasks"]) > 2


@pytest.mark.usefixtures("stand_in_worker")
def test_what_a_full_queue_refuses_is_counted_by_kind(asr: Any, recordings: Recordings) -> None:
    """The queue's cap is 3, and nobody is told to come back before the time is over."""
    (file,) = recordings("a.wav")
    done = asr("load-test", "40", "2", "--audio", file, "--json", "-")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    (error,) = report["errors"]
    assert (error["request"], error["status"], error["code"]) == ("submit", 429, "queue_full")
    assert error["count"] == report["counts"]["rejected"] > 0
    assert report["counts"]["lost"] == report["counts"]["unknown"] == 0


def test_a_task_that_is_deleted_behind_its_back_is_lost(
    asr: Any, api_url: str, recordings: Recordings
) -> None:
    (file,) = recordings("a.wav")
    run = asr.start("load-test", "1", "1", "--rate", "0.1", "--audio", file, "--json", "-")
    (task_id,) = until_open(api_url, 1)
    gone = urllib.request.Request(f"{api_url}/api/v1/asr/task/{task_id}", method="DELETE")
    urllib.request.urlopen(gone, timeout=10).close()
    status, report, told = end_of(run)
    assert status == 1
    reason = "result: HTTP 404 task_not_found"
    assert report["lost"] == [{"task_id": task_id, "reason": reason, "last_state": "queued"}]
    assert task_id in told
    assert "no worker is alive" in told


def test_a_task_without_an_end_when_the_drain_is_over_is_lost(
    asr: Any, api_url: str, recordings: Recordings
) -> None:
    (file,) = recordings("a.wav")
    arguments = ("2", "0.5", "--audio", file, "--drain-seconds", "0.5", "--json", "-")
    status, report, _ = end_of(asr.start("load-test", *arguments))
    assert status == 1
    assert sorted(task["task_id"] for task in report["lost"]) == sorted(until_open(api_url, 2))
    assert {task["reason"] for task in report["lost"]} == {"no final state"}


def test_a_server_that_dies_gives_errors_by_kind_and_names_what_it_owes(
    asr: Any, api_url: str, recordings: Recordings
) -> None:
    (file,) = recordings("a.wav")
    arguments = ("2", "60", "--audio", file, "--drain-seconds", "3", "--json", "-")
    run = asr.start("load-test", *arguments)
    task_ids = until_open(api_url, 2)
    api = asr.started[0]
    api.kill()
    api.wait()
    run.send_signal(signal.SIGINT)
    status, report, told = end_of(run)
    assert status == 1
    assert sorted(task["task_id"] for task in report["lost"]) == sorted(task_ids)
    assert {task["reason"] for task in report["lost"]} == {"no final state; result: connect"}
    assert {(e["request"], e["kind"]) for e in report["errors"]} == {
        ("result", "broken"),
        ("result", "connect"),
    }
    assert "result: connect" in told


def test_the_second_interrupt_ends_at_once_and_calls_nothing_lost(
    asr: Any, api_url: str, recordings: Recordings
) -> None:
    (file,) = recordings("a.wav")
    run = asr.start("load-test", "1", "30", "--audio", file, "--json", "-")
    task_ids = until_open(api_url, 1)
    run.send_signal(signal.SIGINT)
    while "draining" not in run.stderr.readline():
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    status, report, _ = end_of(run)
    assert status == 130
    assert report["unfinished"] == task_ids
    assert report["counts"]["lost"] == 0
    assert report["course"]["interrupted"] is True
    assert report["course"]["load_seconds"] < 30


def test_an_unknown_pool_is_refused_before_anything_is_submitted(asr: Any, api_url: str) -> None:
    done = asr("load-test", "1", "1", "--pool", "nowhere")
    assert done.returncode == 1
    assert "Unknown pool 'nowhere'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert get(f"{api_url}/api/v1/asr/history")["tasks"] == []

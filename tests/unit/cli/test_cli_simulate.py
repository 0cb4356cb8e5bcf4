"""`asr simulate` at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from asr_cli.main import app


def invoke(*arguments: str) -> tuple[int, str]:
    shown = CliRunner().invoke(app, ["simulate", *arguments], env={"COLUMNS": "200"})
    return shown.exit_code, shown.output


def invoke_json(*arguments: str) -> Any:
    """What a program reads: standard output alone, whatever is logged to the other one."""
    shown = CliRunner().invoke(app, ["simulate", *arguments, "--json"])
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


@pytest.fixture
def own_trace(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    rows = "".join(f"{10 * n},{60 + n}\n" for n in range(60))
    path.write_text("arrival_seconds,audio_seconds\n" + rows)
    return path


def test_a_table_of_every_policy_and_what_to_think_of_it(own_trace: Path) -> None:
    code, shown = invoke(str(own_trace))
    assert code == 0, shown
    for policy in ("asr-platform", "static", "KEDA lag", "KEDA length", "Knative KPA", "oracle"):
        assert policy in shown
    assert "60 recordings" in shown
    assert shown.count("GPU-hours") >= 3


def test_the_same_as_json(own_trace: Path) -> None:
    policies = ("--policy", "asr-platform", "--policy", "static")
    (data,) = invoke_json(str(own_trace), *policies, "--target", "120", "--startup", "45")
    assert [each["policy"] for each in data["policies"]] == ["asr-platform", "static"]
    assert (data["target_seconds"], data["model"]["startup_seconds"]) == (120.0, 45.0)


def test_a_picture_is_written(own_trace: Path, tmp_path: Path) -> None:
    code, shown = invoke(
        str(own_trace), "--policy", "asr-platform", "--plot", str(tmp_path / "out.png")
    )
    assert code == 0, shown
    assert (tmp_path / "out.png").exists()


def test_a_generated_trace_can_be_kept_and_replayed(tmp_path: Path) -> None:
    kept = tmp_path / "burst.csv"
    assert invoke("burst", "--write-trace", str(kept))[0] == 0
    (data,) = invoke_json(str(kept), "--policy", "asr-platform", "--outage", "600:60")
    assert data["faults"]["outages"] == [[600.0, 660.0]]
    assert data["policies"][0]["unfinished"] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("zigzag.csv",), "zigzag.csv"),
        (("step", "--policy", "guess"), "no policy guess"),
        (("step", "--outage", "noon"), "FROM:SECONDS"),
        (("step", "ramp", "--plot", "a.png"), "one trace"),
        (("step", "--min-replicas", "9"), "spec.scaling.minReplicas must not be above"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(arguments: tuple[str, ...], told: str) -> None:
    code, shown = invoke(*arguments)
    assert code != 0
    assert told in shown
    assert "Traceback" not in shown

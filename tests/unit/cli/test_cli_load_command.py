from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr_cli.main import app


def load_test(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["load-test", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_it_explains_itself_with_exit_statuses_and_examples() -> None:
    status, shown = load_test("--help")
    assert status == 0
    assert "Exit status: 0:" in shown
    assert "asr load-test 20 60" in shown


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("0", "1"), "CONCURRENCY"),
        (("10001", "1"), "CONCURRENCY"),
        (("1", "0"), "SECONDS"),
        (("1", "nan"), "SECONDS"),
        (("1", "inf"), "SECONDS"),
        (("1", "1", "--rate", "0"), "--rate"),
        (("1", "1", "--drain-seconds", "-1"), "--drain-seconds"),
        (("1", "1", "--drain-seconds", "nan"), "--drain-seconds"),
        (("1", "1", "--audio", "no-such.wav"), "no-such.wav"),
        (("1", "1", "--lane", "express"), "--lane"),
        (("1", "1", "--json", "no-such-folder/report.json"), "no-such-folder"),
    ],
)
def test_an_argument_that_cannot_be_served_is_named(arguments: tuple[str, ...], named: str) -> None:
    status, shown = load_test(*arguments)
    assert status == 2
    assert named in shown


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing.wav"
    path.touch()
    status, shown = load_test("1", "1", "--audio", str(path))
    assert status == 2
    assert f"{path} is empty" in shown


def test_an_absent_server_is_said_in_one_line() -> None:
    status, shown = load_test("1", "1", "--server", "http://127.0.0.1:1")
    assert status == 1
    assert len(shown.strip().splitlines()) == 1
    assert "asr up" in shown

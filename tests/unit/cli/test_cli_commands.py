from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr_cli.main import app
from asr_core import __version__

COMMANDS = (
    "up",
    "api",
    "worker",
    "transcribe",
    "reconcile",
    "retention",
    "version",
    "queue status",
    "queue dead",
    "queue put-back",
)


def asr(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit status, and stdout and stderr together."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", **(env or {})})
    return result.exit_code, result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(command: str) -> None:
    status, shown = asr(*command.split(), "--help")
    assert status == 0
    assert re.search(rf"Examples?:[\s\S]*asr {command}", shown)


def test_the_version_is_told() -> None:
    assert asr("version") == asr("--version") == (0, f"asr-platform {__version__}\n")


def test_a_recording_that_is_not_there_is_refused_before_anything_else() -> None:
    status, shown = asr("transcribe", "no-such.wav")
    assert status == 2
    assert "no-such.wav" in shown


def test_text_that_is_too_long_is_said_in_one_line_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"x")
    long = "x" * 10_000
    for arguments in (
        ("transcribe", str(file), "--language", long),
        ("keys", "create", long),
        ("keys", "create", "ci", "--tenant", long),
    ):
        status, shown = asr(*arguments)
        assert status == 2
        assert len(shown.strip().splitlines()) == 1
        assert len(shown) < 300


def test_subtitles_of_many_files_need_a_folder(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.wav", "b.wav")]
    for file in files:
        file.write_bytes(b"x")
    status, shown = asr("transcribe", *map(str, files), "--format", "srt")
    assert status == 2
    assert "--output-dir" in shown


def test_an_absent_server_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"x")
    status, shown = asr("transcribe", str(file), "--server", "http://127.0.0.1:1")
    assert status == 1
    assert len(shown.strip().splitlines()) == 1
    assert "asr up" in shown


@pytest.mark.parametrize(
    "command", ["queue status", "queue dead", "queue put-back t", "reconcile", "retention"]
)
def test_an_absent_redis_is_said_in_one_line(command: str) -> None:
    status, shown = asr(*command.split(), env={"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"})
    assert status == 1
    assert len(shown.strip().splitlines()) == 1
    assert "Redis" in shown


def test_a_setting_that_cannot_be_read_is_named() -> None:
    status, shown = asr("queue", "status", env={"REDIS_PORT": "many"})
    assert status == 1
    assert "REDIS_PORT" in shown


@pytest.mark.parametrize("arguments", [[], ["t-1", "--all"]])
def test_putting_back_wants_either_tasks_or_all(arguments: list[str]) -> None:
    status, shown = asr("queue", "put-back", *arguments)
    assert status == 2
    assert "--all" in shown


def test_a_server_without_a_scheme_is_refused_with_what_to_write(tmp_path: Path) -> None:
    recording = tmp_path / "talk.wav"
    recording.write_bytes(b"RIFF")
    told = "lacks http:// or https://: http://localhost:8000"
    for command in (["transcribe", str(recording)], ["load-test", "1", "1"]):
        result = CliRunner().invoke(app, [*command, "--server", "localhost:8000"])
        assert result.exit_code in (1, 2)
        assert told in result.output.replace("\n", " ")

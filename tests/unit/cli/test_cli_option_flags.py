"""Commands that submit recordings have a flag for each option of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from asr_cli.commands.option_flags import asked
from asr_cli.main import app
from asr_core.options import OPTIONS, Kind


@pytest.mark.parametrize("command", ["transcribe", "load-test"])
def test_every_option_of_a_task_has_a_flag_with_its_default(command: str) -> None:
    root: Any = get_command(app)
    parameters = {one.name: one for one in root.commands[command].params}
    for name, field in OPTIONS.items():
        assert f"--{name}" in parameters[name].opts, name
        assert parameters[name].help.lower().startswith(field.description.lower()), name
    assert {"lane", "pool"} <= set(parameters)


def test_only_what_differs_from_the_default_is_sent() -> None:
    flags = {
        name: list(field.default) if field.kind is Kind.WORDS else field.default
        for name, field in OPTIONS.items()
    }
    assert asked(flags) == {}
    given = {"itn": True, "track": 2, "hotwords": ["Redis, kopf", "KEDA"], "channels": "split"}
    assert asked({**flags, **given}) == {**given, "hotwords": "Redis, kopf,KEDA"}


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--channels", "both"), ("--track", "0"), ("--track", "101"), ("--task", "summarise")],
)
@pytest.mark.parametrize("command", ["transcribe", "load-test"])
def test_a_value_out_of_the_bounds_of_its_option_is_refused_before_anything_is_sent(
    command: str, flag: str, value: str, tmp_path: Path
) -> None:
    audio = tmp_path / "a.wav"
    audio.write_bytes(b"RIFF")
    recordings = [str(audio)] if command == "transcribe" else ["1", "1", "--audio", str(audio)]
    result = CliRunner().invoke(app, [command, *recordings, flag, value], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert flag in result.output


def test_words_that_are_too_long_are_refused_before_anything_is_sent() -> None:
    arguments = ["load-test", "1", "1", "--hotwords", "x" * 129]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "'hotwords' has 129 characters" in result.output


@pytest.mark.parametrize("command", ["transcribe", "load-test"])
def test_a_prompt_that_is_too_long_is_refused_before_anything_is_sent(
    command: str, tmp_path: Path
) -> None:
    audio = tmp_path / "a.wav"
    audio.write_bytes(b"RIFF")
    recordings = [str(audio)] if command == "transcribe" else ["1", "1", "--audio", str(audio)]
    arguments = [command, *recordings, "--prompt", "x" * 1025]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "'prompt' has 1025 characters" in result.output

"""How the program ends: with the command's status, after all that was to be done at the end."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys
atexit.register(print, "at the end")
from asr_cli.main import app, main
sys.argv = ["asr", *sys.argv[1:]]
class Telling:
    def __del__(self): print("Python was taken down")
sys.modules["telling"] = Telling()
@app.command()
def saying(): raise SystemExit("in words")
@app.command()
def failing(): raise ZeroDivisionError
main()
"""


@pytest.mark.parametrize(
    ("words", "status", "output", "error"),
    [
        (["version"], 0, "asr-platform ", ""),
        (["nonsense"], 2, "", "No such command"),
        (["saying"], 1, "", "in words"),
        (["failing"], 1, "", "ZeroDivisionError"),
    ],
)
def test_the_status_is_the_commands_and_nothing_is_left_unsaid(
    words: list[str], status: int, output: str, error: str
) -> None:
    run = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert done.returncode == status
    assert output in done.stdout
    assert error in done.stderr
    assert "at the end" in done.stdout
    assert "taken down" not in done.stdout


def test_a_reader_that_has_left_is_no_traceback() -> None:
    run = f"{sys.executable} -m asr_cli --help | head -c 1"
    done = subprocess.run(run, shell=True, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr

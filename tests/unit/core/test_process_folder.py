"""A folder of one process: gone with it, or with the next process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from asr_core.process.private_folder import ProcessFolder

NAMES = {"prefix": "mine-", "lock_name": "lock"}
DIES = """
import os, sys
from pathlib import Path
from asr_core.process.private_folder import ProcessFolder
folder = ProcessFolder(Path(sys.argv[1]), prefix="mine-", lock_name="lock")
(folder.path / "file").touch()
os._exit(1)
"""


def test_the_folder_of_a_process_that_was_killed_goes_with_the_next_start(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert (left / "file").exists()
    folder = ProcessFolder(tmp_path, **NAMES)
    assert list(tmp_path.iterdir()) == [folder.path]
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_many_that_start_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    """One that is made and not yet locked would look abandoned."""
    code = DIES.replace("os._exit(1)", "print(folder.path, flush=True); input(); folder.close()")
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs = [subprocess.Popen(command, **pipes) for _ in range(6)]
    try:
        paths = [Path(program.stdout.readline().strip()) for program in programs]
        assert sorted(tmp_path.iterdir()) == sorted(paths)
        assert all((path / "file").exists() for path in paths)
    finally:
        for program in programs:
            program.communicate("\n")
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_put_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine-without-a-lock").mkdir()
    (tmp_path / "theirs").mkdir()
    ProcessFolder(tmp_path, **NAMES).close()
    assert {path.name for path in tmp_path.iterdir()} == {"mine-without-a-lock", "theirs"}

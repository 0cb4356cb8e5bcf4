"""Local files: one folder per process, one folder in it per task in flight.

A process locks its folder while it runs. Process ids mean nothing across containers that share a
volume, but locks do: a folder that can be locked is a leftover and is removed.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger

LEAST_FREE_BYTES: Final = 32 * 1024**2
_LEAST: Final = f"{LEAST_FREE_BYTES // 2**20} MiB"
_PREFIX = "asr-worker-"
_LOCK_NAME = "lock"
_log = get_logger(__name__)


class WorkFolder:
    """This process's folder under `root` (default: the system's temporary folder)."""

    def __init__(self, root: Path | None) -> None:
        """Raises DependencyError where nothing can be written."""
        self._root = root or Path(tempfile.gettempdir())
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self.removed_leftovers = _remove_leftovers(self._root)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._root))
            self._lock = os.open(self.path / _LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise DependencyError(
                f"the folder for decoded audio cannot be used: {error} (ASR_WORK_DIR)"
            ) from error
        self._numbers = itertools.count(1)
        self.problem = ""

    def for_task(self, task_id: str) -> Path:
        """The path for a task's folder; never the same path twice."""
        return self.path / f"{next(self._numbers)}-{task_id}"

    def has_room(self) -> bool:
        """False while the disk is full, whatever filled it: tasks claimed now would fail."""
        return not self.check()

    def check(self) -> str:
        """Why nothing can be written to the disk; empty if it can."""
        problem = _obstacle(self.path)
        if problem and not self.problem:
            _log.error("the disk is full, no claims", folder=str(self.path), reason=problem)
        if self.problem and not problem:
            _log.info("the disk has room again", folder=str(self.path))
        self.problem = problem
        return problem

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _obstacle(folder: Path) -> str:
    disk = os.statvfs(folder)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < LEAST_FREE_BYTES:
        return f"the disk of {folder} is full: {free_bytes / 2**20:.0f} MiB free, {_LEAST} needed"
    if disk.f_files and not disk.f_favail:
        return f"the disk of {folder} is full: no file can be added (inodes)"
    if not os.access(folder, os.W_OK):
        return f"the disk of {folder} cannot be written"
    return ""


def _remove_leftovers(root: Path) -> int:
    """Removes the folders of processes that have died; returns how many."""
    removed = 0
    for folder in root.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder / _LOCK_NAME, os.O_RDWR)
        except OSError:
            continue  # just being made or removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
        except OSError:
            pass  # its process lives
        finally:
            os.close(lock)
    return removed

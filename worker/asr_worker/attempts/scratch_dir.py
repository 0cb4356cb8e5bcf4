"""Local files: one folder per process, one folder in it per task in flight."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path
from typing import Final

from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.process.private_folder import ProcessFolder

LEAST_FREE_BYTES: Final = 32 * 1024**2
_LEAST: Final = f"{LEAST_FREE_BYTES // 2**20} MiB"
_log = get_logger(__name__)


class WorkFolder:
    """This process's folder under `root` (default: the system's temporary folder)."""

    def __init__(self, root: Path | None) -> None:
        """Raises DependencyError where nothing can be written."""
        root = root or Path(tempfile.gettempdir())
        try:
            self._folder = ProcessFolder(root, prefix="asr-worker-", lock_name="lock")
        except OSError as error:
            raise DependencyError(
                f"the folder for decoded audio cannot be used: {error} (ASR_WORK_DIR)"
            ) from error
        self.path = self._folder.path
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
        self._folder.close()


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

"""Local files: one folder per process, one folder in it per task in hand.

A process locks its folder while it lives. Process ids say nothing across containers that share a
volume; a lock does: what can be locked belongs to no one and is removed.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from asr_core.logs import get_logger

LEAST_FREE_BYTES: Final = 32 * 1024**2
_PREFIX = "asr-worker-"
_LOCK_NAME = "lock"
_log = get_logger(__name__)


class WorkFolder:
    """This process's folder under `root` (default: the system's temporary folder)."""

    def __init__(self, root: Path | None) -> None:
        self._root = root or Path(tempfile.gettempdir())
        self._root.mkdir(parents=True, exist_ok=True)
        self.removed_leftovers = _remove_leftovers(self._root)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._root))
        self._lock = os.open(self.path / _LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._numbers = itertools.count(1)
        self._is_full = False

    def for_task(self, task_id: str) -> Path:
        """Where a task's folder is to be made; no name is given twice."""
        return self.path / f"{next(self._numbers)}-{task_id}"

    def has_room(self) -> bool:
        """False while its disk is full, whoever filled it: what is claimed now would fail."""
        free_bytes = shutil.disk_usage(self.path).free
        is_full = free_bytes < LEAST_FREE_BYTES
        if is_full and not self._is_full:
            _log.error("the disk is full, no claims", folder=str(self.path), free_bytes=free_bytes)
        if self._is_full and not is_full:
            _log.info("the disk has room again", folder=str(self.path), free_bytes=free_bytes)
        self._is_full = is_full
        return not is_full

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


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

"""The folder of `asr up`, held by one run at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FolderInUse(Exception):
    """Another `asr up`, or a Redis that outlived one, works in this folder."""


class DataFolder:
    """An exclusive lock on the folder, which lasts as long as any process keeps the file open."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.lock_file = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self.lock_file, 64).decode(errors="replace").strip() or "unknown"
            os.close(self.lock_file)
            raise FolderInUse(
                f"{path} is in use by another `asr up` (process {holder}): "
                "stop it, or choose another --data"
            ) from None
        os.ftruncate(self.lock_file, 0)
        os.write(self.lock_file, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        os.close(self.lock_file)

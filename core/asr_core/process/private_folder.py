"""Folders that no other user of the machine can look into or put anything in."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

OTHERS = 0o077  # the bits of a mode that let group and others in


def temporary_folder(name: str) -> Path:
    """`NAME-UID` below the temporary folder, one for all programs of this user. If another user has
    taken that name, a new folder with an unguessable name.
    """
    folder = Path(tempfile.gettempdir(), f"{name}-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        is_ours = found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & OTHERS
        if stat.S_ISDIR(found.st_mode) and is_ours:
            return folder
    except FileExistsError:  # a file or a link
        pass
    return Path(tempfile.mkdtemp(prefix=f"{name}-"))


class ProcessFolder:
    """A new folder under `root` for this process alone, removed with it or by the next one.

    It is locked while the process runs. Process ids mean nothing across containers that share a
    volume, but locks do: a folder whose lock is free is a leftover.
    """

    def __init__(self, root: Path, *, prefix: str, lock_name: str) -> None:
        """Removes the folders of the dead first. Raises OSError."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in root.glob(f"{prefix}*"):
            _remove_if_abandoned(folder, lock_name)
        # Under another name until it is locked: who looks for abandoned ones passes it over.
        draft = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=root))
        self._lock = os.open(draft / lock_name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = draft.rename(root / draft.name.removeprefix("."))

    def close(self) -> None:
        """Removes it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_if_abandoned(folder: Path, lock_name: str) -> None:
    try:
        lock = os.open(folder / lock_name, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return  # just being removed, or somebody else's
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        pass  # its process lives
    finally:
        os.close(lock)

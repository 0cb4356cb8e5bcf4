"""The folder of `asr up`: held by one run at a time, and closed to other users of the machine.

Nothing here depends on the umask of whoever starts it, nor on that of an older version.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from asr_cli.errors import FolderInUse, FolderOfOthers
from asr_core.process.private_folder import OTHERS

PARTS = ("redis", "store", "spool", "work", "logs")
LOCK = "lock"
RUNNING = "running.json"
MODELS = "models"  # no part that must be there: ASR_MODEL_CACHE may name another place
_OURS = frozenset({*PARTS, LOCK, RUNNING, f"{RUNNING}.new", MODELS})
_OWNER = 0o700


class DataFolder:
    """An exclusive lock on the folder, which lasts as long as any process keeps the file open."""

    def __init__(self, path: Path) -> None:
        """`was_open`: others could read it until now; `still_open`: what they still can.

        Raises FolderInUse, FolderOfOthers, OSError.
        """
        path.mkdir(mode=_OWNER, parents=True, exist_ok=True)
        _refuse_of_others(path)
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.lock_file = os.open(path / LOCK, flags, 0o600)
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
        self.was_open = close_to_others(path)
        for name in PARTS:
            (path / name).mkdir(mode=_OWNER, exist_ok=True)
        self.still_open = tuple(
            part
            for part in (path / name for name in PARTS)
            if is_open(part) and (part.is_symlink() or is_open(path))
        )

    def close(self) -> None:
        os.close(self.lock_file)


def is_open(path: Path) -> bool:
    """Whether its mode gives access to group or others; of a link, its target's mode."""
    return bool(path.stat().st_mode & OTHERS)


def close_to_others(path: Path) -> bool:
    """Makes folders 0700 and files 0600, where any of `asr up`'s was open; whether one was.

    The folder itself only where nothing else is in it: it may be somebody's project. Links are not
    followed. What is looked at here is closed last: after an interruption the next start goes on.
    """
    names = {entry.name for entry in os.scandir(path)}
    tops = [path / name for name in sorted(names & _OURS)]
    if names <= _OURS:
        tops.insert(0, path)
    tops = [top for top in tops if not top.is_symlink() and _may_restrict(top)]
    if not any(is_open(top) for top in tops):
        return False
    for top in tops:
        for each in _bottom_up(top) if top != path else (path,):
            _restrict(each)
    # An empty folder held nothing that others could have read.
    return bool(names & set(PARTS)) and not any(is_open(top) for top in tops)


def _bottom_up(path: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(path, topdown=False):
        for name in (*files, *folders):
            yield Path(folder, name)
    yield path


def _may_restrict(path: Path) -> bool:
    return os.getuid() in (0, path.stat().st_uid)


def _restrict(path: Path) -> None:
    # Deleted meanwhile, or of root, or on a file system without modes: see `still_open`.
    with suppress(FileNotFoundError, PermissionError):
        mode = path.lstat().st_mode
        if mode & OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & _OWNER)


def _refuse_of_others(path: Path) -> None:
    """Where all may write, other users may have created our parts. Root may serve their folders."""
    own = os.getuid()
    for part in (path / name for name in sorted(_OURS)):
        try:
            owner = part.stat().st_uid
        except FileNotFoundError:
            continue
        if own and owner not in (own, 0):
            raise FolderOfOthers(
                f"{part} belongs to another user (uid {owner}): choose another --data"
            )

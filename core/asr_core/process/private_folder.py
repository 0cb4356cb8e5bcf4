"""Folders that no other user of the machine can look into or put anything in."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

OTHERS = 0o077  # the bits of a mode that let group and others in


def temporary_folder(name: str) -> Path:
    """`NAME-UID` below the temporary folder, one for all programs of this user. Where somebody else
    has taken that name, a new one whose name cannot be guessed.
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

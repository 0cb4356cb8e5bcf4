"""A home and a name for a user that has neither, as in pods: `runAsUser` needs no passwd entry.

Libraries ask for both when they are imported (numba, modelscope and fontconfig for a cache below
the home, kopf for the user's name) and end the program where there is none.
"""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

NAME = "asr"


def ensure_home(environ: MutableMapping[str, str] = os.environ) -> None:
    """Sets `HOME` and `USER` where the system gives none that can be used.

    The home is a folder of this user's below the temporary one: what is in it are caches.
    """
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        entry = None
    if entry is None and not environ.get("USER") and not environ.get("LOGNAME"):
        environ["USER"] = NAME
    home = environ.get("HOME") or (entry.pw_dir if entry else "")
    if not (home and os.path.isdir(home) and os.access(home, os.W_OK | os.X_OK)):
        environ["HOME"] = str(_temporary_home())


def _temporary_home() -> Path:
    """One for all programs of this user, unless somebody else has taken its name."""
    home = Path(tempfile.gettempdir(), f"asr-home-{os.getuid()}")
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        found = home.lstat()
        is_ours = found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
        if stat.S_ISDIR(found.st_mode) and is_ours:
            return home
    except FileExistsError:  # a file or a link
        pass
    return Path(tempfile.mkdtemp(prefix="asr-home-"))

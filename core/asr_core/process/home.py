"""A home and a name for a user that has neither, as in pods: `runAsUser` needs no passwd entry.

Libraries ask for both when they are imported (numba, modelscope and fontconfig for a cache below
the home, kopf for the user's name) and end the program where there is none.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import MutableMapping

from asr_core.process.private_folder import temporary_folder

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
        environ["HOME"] = str(temporary_folder("asr-home"))

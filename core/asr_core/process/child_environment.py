"""The environment of processes that read untrusted files: without our settings and secrets."""

from __future__ import annotations

import os
import sys
from typing import Final

_KEPT: Final = frozenset(
    {"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR"}
)
_KEPT_PREFIX: Final = "LC_"
# Such a process has one thread's work: numpy's pools would only take memory.
_THREADS: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def child_environment() -> dict[str, str]:
    """What Python needs to start and to find the packages that this process has found."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIX)
    }
    return {**kept, **_THREADS, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

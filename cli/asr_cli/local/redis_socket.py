"""The Unix socket of a private Redis: only users with access to its folder can connect. There is
no port that another user could take first, and no password to store.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asr_core.process.private_folder import temporary_folder
from asr_core.settings.redis import RedisSettings

SOCKET = "redis.sock"


def socket_path(folder: Path) -> Path:
    """In `folder`; where its name is too long (Linux: 107 bytes) or its file system knows no
    sockets, in a folder of this user's below the temporary one. Raises OSError where neither goes.
    """
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    if _can_listen(here := folder / SOCKET):
        return here
    if _can_listen(there := temporary_folder("asr-up") / f"{digest}.sock"):
        return there
    raise OSError(
        f"cannot create a Unix socket in {folder} or {there.parent}: set TMPDIR to a local "
        "folder with a short name"
    )


def socket_url(path: Path) -> str:
    """As `ASR_REDIS_URL` takes it."""
    return f"unix://{quote(str(path))}"


def listens(path: Path) -> bool:
    """Whether a process does now; a socket file outlives a process that was killed."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5.0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


def private_settings(url: str, **more: Any) -> RedisSettings:
    """This Redis, whatever other one the environment names."""
    return RedisSettings(
        url=url, username="", password="", tls=False, cluster=False, ca_file=None, cert_file=None,
        key_file=None, **more,
    )  # fmt: skip


def _can_listen(path: Path) -> bool:
    probe = path.with_name(f"{path.name}.0")  # longer: servers count a byte more or less
    with socket.socket(socket.AF_UNIX) as made:
        try:
            probe.unlink(missing_ok=True)
            made.bind(str(probe))
        except OSError:
            return False
    probe.unlink()
    return True

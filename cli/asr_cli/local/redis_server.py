"""The private Redis of `asr up`: which program serves, how it is started.

Redis 7.0 or Valkey 8 is the least that the queue's scripts run on. Every write is fsynced before
its reply (`appendfsync always`): a task that was answered with 202 survives a power cut.
`python -m asr_cli.local.redis_server` prints the program found, or in one line what to install.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asr_cli.errors import RedisMissing

MINIMUM = {"redis-server": (7, 0), "valkey-server": (8, 0)}
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class ServerProgram:
    """A server program on this machine."""

    path: str
    name: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return (
            f"{self.name.removesuffix('-server').capitalize()} {'.'.join(map(str, self.version))}"
        )


def parse_version(output: str) -> tuple[int, int, int] | None:
    """The version in the reply of `--version`: `Redis server v=7.0.15 sha=…`."""
    found = _VERSION.search(output)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _ask_version(path: str) -> str:
    try:
        return subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def find_server(
    which: Callable[[str], str | None] = shutil.which,
    ask_version: Callable[[str], str] = _ask_version,
) -> ServerProgram:
    """The first server on PATH that is new enough; RedisMissing names what was found instead."""
    too_old = []
    for name, minimum in MINIMUM.items():
        path = which(name)
        version = parse_version(ask_version(path)) if path else None
        if path and version and version[:2] >= minimum:
            return ServerProgram(path, name, version)
        if path:
            too_old.append(f"{path} is {'.'.join(map(str, version)) if version else 'not usable'}")
    found = f" ({'; '.join(too_old)})" if too_old else ""
    raise RedisMissing(
        "redis-server 7.0 or newer, or valkey-server 8 or newer, must be on PATH"
        f"{found}: install it with `apt install redis-server` or `brew install redis`"
    )


def server_arguments(program: ServerProgram, *, unix: Path, directory: Path) -> tuple[str, ...]:
    """The command line: a Unix socket and no port, a fsynced append-only file, nothing ever
    evicted.
    """
    options = {
        "port": "0",
        "unixsocket": str(unix),
        "unixsocketperm": "700",
        "dir": str(directory),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return (program.path, *(part for key, value in options.items() for part in (f"--{key}", value)))


if __name__ == "__main__":
    try:
        print(find_server().path)
    except RedisMissing as missing:
        sys.exit(str(missing))

"""Where pip looks for packages on this machine: indexes, folders, proxy, certificates.

A machine that reaches an index of its own has pip set up for it, so nothing needs to be set twice.
Source: `pip config list`, which merges the files and the `PIP_` variables; where pip is not
installed, the variables alone.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

_PYPI = "https://pypi.org/simple"
_SECTIONS = ("global", "download", ":env:")  # the later one wins, as in `pip download`
_ASK_SECONDS = 30.0


@dataclass(frozen=True)
class PipSettings:
    """`pages` are addresses of an index, `links` those of pages or folders with wheels in them."""

    pages: tuple[str, ...]
    links: tuple[str, ...] = ()
    proxy: str = ""
    certificates: str = ""
    client_certificate: str = ""
    trusted_hosts: tuple[str, ...] = ()


def read_pip_settings(environment: Mapping[str, str] = os.environ) -> PipSettings:
    """As `pip download` would take them."""
    return parse(_listed() if find_spec("pip") else _of_variables(environment))


def parse(listed: str) -> PipSettings:
    """Of the lines of `pip config list`: `global.index-url='https://…'`."""
    found: dict[str, dict[str, str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        try:
            found.setdefault(section, {})[key] = str(ast.literal_eval(value))
        except (ValueError, SyntaxError):
            continue
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        merged |= found.get(section, {})
    uses_index = merged.get("no-index", "").lower() not in ("1", "true", "yes", "on")
    pages = (merged.get("index-url", _PYPI), *merged.get("extra-index-url", "").split())
    return PipSettings(
        pages=tuple(dict.fromkeys(pages)) if uses_index else (),
        links=tuple(merged.get("find-links", "").split()),
        proxy=merged.get("proxy", ""),
        certificates=merged.get("cert", ""),
        client_certificate=merged.get("client-cert", ""),
        trusted_hosts=tuple(merged.get("trusted-host", "").split()),
    )


def _listed() -> str:
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return _of_variables(os.environ)
    return done.stdout if done.returncode == 0 else _of_variables(os.environ)


def _of_variables(environment: Mapping[str, str]) -> str:
    return "\n".join(
        f":env:.{name.removeprefix('PIP_').lower().replace('_', '-')}={value!r}"
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    )

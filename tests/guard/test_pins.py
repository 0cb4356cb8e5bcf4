"""What a reproducible install rests on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)$")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            match = PIN.match(line)
            assert match, f"not a plain pin: {line}"
            found[canonical(match[1])] = match[2]
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned() -> None:
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {canonical(re.match(r"[A-Za-z0-9._-]+", text)[0]) for text in wanted}  # type: ignore[index]
    assert names - {"asr-platform"} <= set(pins())


def test_what_the_project_itself_pins_is_what_was_tested() -> None:
    """uv takes torch from pyproject.toml, pip from the constraints; the suffix of a build in either
    would keep the other builds from being installed.
    """
    project = PROJECT["project"]
    named = [*PROJECT["tool"]["uv"]["constraint-dependencies"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        named += extra
    exact = dict(match.groups() for each in named if (match := PIN.match(each)))
    assert {"torch", "funasr"} <= set(exact)
    assert exact == {name: pins()[canonical(name)] for name in exact}

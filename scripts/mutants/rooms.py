"""The rooms as tests/mutants.toml names them: pure modules, their tests, the accepted survivors."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grimp

from mutants.changes import Mutant, Place

TABLE = Path("tests", "mutants.toml")


@dataclass(frozen=True)
class Accepted:
    """Survivors with their reason: one change of a line; without `after` all of that line, without
    `before` too all in the definition.
    """

    module: str
    definition: str
    reason: str
    before: str | None = None
    after: str | None = None

    def covers(self, mutant: Mutant) -> bool:
        place = mutant.place
        return (
            (place.module, place.definition) == (self.module, self.definition)
            and self.before in (None, place.before)
            and self.after in (None, mutant.after)
        )


@dataclass(frozen=True)
class Room:
    """A package: its folder, the modules to change, and the files of tests that run quickly."""

    name: str
    package: str
    modules: tuple[str, ...]
    tests: tuple[Path, ...]

    def path(self, module: str) -> Path:
        """Where a module stands, relative to the repository."""
        return Path(self.name, *module.split(".")).with_suffix(".py")


@dataclass(frozen=True)
class Table:
    """What tests/mutants.toml says."""

    least_noticed: float
    rooms: tuple[Room, ...]
    accepted: tuple[Accepted, ...]

    def outdated(self, places: Iterable[Place]) -> list[Accepted]:
        """Entries of these places' modules whose definition, or line in it, is gone."""
        lines: dict[tuple[str, str], set[str]] = defaultdict(set)
        for place in places:
            lines[place.module, place.definition].add(place.before)
        modules = {module for module, _ in lines}
        return [
            each
            for each in self.accepted
            if each.module in modules
            and not (
                lines[each.module, each.definition]
                if each.before is None
                else {each.before} & lines[each.module, each.definition]
            )
        ]

    def reason(self, mutant: Mutant) -> str | None:
        return next((each.reason for each in self.accepted if each.covers(mutant)), None)


def read_table(root: Path) -> Table:
    """The table; the modules of the contract "Planning is pure" stand in pyproject.toml alone."""
    table = tomllib.loads((root / TABLE).read_text())
    pure = [*_contract(root / "pyproject.toml"), *table["also"]]
    rooms = tuple(_room(name, each, pure, root) for name, each in table["rooms"].items())
    accepted = tuple(Accepted(**each) for each in table.get("accepted", ()))
    return Table(table["least_noticed"], rooms, accepted)


def _contract(pyproject: Path) -> list[str]:
    contracts = tomllib.loads(pyproject.read_text())["tool"]["importlinter"]["contracts"]
    return [
        module
        for contract in contracts
        if contract["name"].startswith("Planning is pure")
        for module in contract["source_modules"]
    ]


def _room(name: str, table: dict[str, Any], pure: list[str], root: Path) -> Room:
    package = table["package"]
    named = [each for each in pure if each.split(".")[0] == package]
    modules = sorted({module for each in named for module in _modules(root / name, each)})
    tests = sorted((root / "tests" / "unit" / name).rglob("test_*.py"))
    slow = set(table.get("slow", ()))
    kept = tuple(each for each in tests if each.name not in slow)
    return Room(name, package, tuple(modules), kept)


def _modules(folder: Path, name: str) -> list[str]:
    """A module, or all those in a package."""
    path = folder / name.replace(".", "/")
    if not path.is_dir():
        return [name]
    files = [each for each in path.rglob("*.py") if each.name != "__init__.py"]
    return [".".join(each.relative_to(folder).with_suffix("").parts) for each in files]


class TestChoice:
    """Which files of tests reach a module: those that import it first, then the indirect ones."""

    __test__ = False

    def __init__(self, packages: Iterable[str]) -> None:
        self._graph = grimp.build_graph(*packages, cache_dir=None)

    def of(self, module: str, tests: Iterable[Path]) -> list[Path]:
        reaching = self._graph.find_downstream_modules(module)
        ranks = {}
        for test in tests:
            imported = _imported(test) | _imported(test.parent / "conftest.py")
            if module in _imported(test):
                ranks[test] = 0
            elif imported & (reaching | {module}):
                ranks[test] = 1
        return sorted(ranks, key=lambda test: ranks[test])


def _imported(path: Path) -> set[str]:
    if not path.exists():
        return set()
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names

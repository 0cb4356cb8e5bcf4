"""One tree of errors: what every package raises on purpose descends from `AsrError`."""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The public client imports none of these packages: its errors are a tree of their own.
ROOMS = ("core", "api", "worker", "operator", "cli")
TREE = "core/asr_core/errors.py"


@dataclass(frozen=True)
class Raised:
    """An exception class as it stands in the source."""

    name: str
    path: str
    bases: tuple[str, ...]


def exceptions_in(sources: dict[str, str]) -> dict[str, Raised]:
    """Every exception class of the files, by name; bases without their module."""
    classes = {}
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                bases = tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases)
                classes[node.name] = Raised(node.name, path, bases)
    return {name: found for name, found in classes.items() if _is_exception(name, classes)}


def _is_exception(name: str, classes: dict[str, Raised]) -> bool:
    if name in classes:
        return any(_is_exception(base, classes) for base in classes[name].bases)
    known = getattr(builtins, name, None)
    if isinstance(known, type):
        return issubclass(known, BaseException)
    return name.endswith(("Error", "Exception", "Warning"))


def descends(name: str, root: str, classes: dict[str, Raised]) -> bool:
    return name == root or (
        name in classes and any(descends(base, root, classes) for base in classes[name].bases)
    )


def undrawn(classes: dict[str, Raised], sources: dict[str, str]) -> list[str]:
    """Those that neither core's tree nor an `errors.py` of their own package shows."""
    drawings = {
        path: ast.get_docstring(ast.parse(text)) or ""
        for path, text in sources.items()
        if path.endswith("/errors.py")
    }

    def is_drawn(found: Raised) -> bool:
        room = found.path.partition("/")[0]
        return any(
            re.search(rf"─ {found.name}\b", drawing)
            for path, drawing in drawings.items()
            if path == TREE or path.startswith(f"{room}/")
        )

    return [f"{found.path}: {found.name}" for found in classes.values() if not is_drawn(found)]


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text()
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
    }


def test_every_error_descends_from_the_one_root(sources: dict[str, str]) -> None:
    classes = exceptions_in(sources)
    assert len(classes) > 50
    strangers = [c for c in classes.values() if not descends(c.name, "AsrError", classes)]
    assert strangers == [], f"hang these into the tree of {TREE}"


def test_every_error_is_drawn_in_the_tree_of_its_package(sources: dict[str, str]) -> None:
    classes = exceptions_in(sources)
    del classes["AsrError"]  # the root of each drawing
    assert undrawn(classes, sources) == []


@pytest.mark.parametrize(
    "bases", ["Exception", "ValueError, asyncio.TimeoutError", "redis.exceptions.ConnectionError"]
)
def test_an_error_outside_of_the_tree_is_found(bases: str) -> None:
    classes = exceptions_in({"cli/asr_cli/some.py": f"class Stranger({bases}):\n    pass\n"})
    assert not descends("Stranger", "AsrError", classes)
    assert undrawn(classes, {}) == ["cli/asr_cli/some.py: Stranger"]

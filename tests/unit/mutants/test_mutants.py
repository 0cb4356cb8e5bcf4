"""The mutation tests, tried on a room of a few lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mutants.__main__ import report
from mutants.changes import Mutant, made, places_of, sampled
from mutants.rooms import Accepted, Room, Table

SCRIPTS = Path(__file__).parents[3] / "scripts"
LOGIC = '''"""Logic. True, and 1 + 1."""


def both(a: bool, b: bool) -> bool:
    return a and b


def either(a: bool, b: bool) -> bool:
    return a or b


def ever(a: bool, b: bool) -> bool:
    return b or a


def until(a: set[str]) -> set[str]:
    while a:
        a.add("seen")
        break
    return a
'''
TEST = """from toy_room.logic import both, either, ever, until


def test_logic():
    assert both(True, True) is True
    assert both(True, False) is False
    assert either(True, True) is ever(True, True) is True
    assert until({"a"}) == {"a", "seen"}
    assert until(set()) == set()
"""
CONTRACT = """[[tool.importlinter.contracts]]
name = "Planning is pure: for the test"
source_modules = ["toy_room.logic"]
"""


def mutants_of(source: str, seed: int = 1, sample: int = 0, module: str = "m") -> list[Mutant]:
    places = sampled(places_of(module, source, seed), sample, seed)
    return [made(source, place) for place in places]


def changes(source: str, seed: int = 1, **more: Any) -> list[str]:
    return [each.change for each in mutants_of(source, seed, **more)]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A room `toy` with one module, and tests that never try `either` with a no."""
    files = {
        "pyproject.toml": CONTRACT,
        "toy/toy_room/__init__.py": "",
        "toy/toy_room/logic.py": LOGIC,
        "tests/unit/toy/test_logic.py": TEST,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(repository: Path) -> subprocess.CompletedProcess[str]:
    table = "least_noticed = 0.5\nalso = []\n[rooms.toy]\npackage = 'toy_room'\n" + "".join(
        f"[[accepted]]\nmodule = 'toy_room.logic'\ndefinition = '{name}'\nbefore = '{before}'\n"
        "reason = 'nobody asks'\n"
        for name, before in (("ever", "return b or a"), ("both", "return b and a"))
    )
    table += "[[accepted]]\nmodule = 'toy_room.logic'\ndefinition = 'never'\nreason = 'gone'\n"
    (repository / "tests" / "mutants.toml").write_text(table)
    command = ["-m", "mutants", "--root", repository, "--sample", "0", "--spare-seconds", "0.5"]
    return subprocess.run(
        [sys.executable, *command], env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_survivors_are_named_and_one_without_a_reason_fails_the_run(repository: Path) -> None:
    """One of five changes ends a loop never, and is noticed for the time that it takes."""
    told = run(repository)
    assert told.returncode == 1, told.stderr
    assert told.stdout.splitlines() == [
        "  OUTDATED toy_room.logic: no line 'return b and a' in both any more",
        "  OUTDATED toy_room.logic: no definition never any more",
        "  SURVIVED toy_room.logic:9 either: return a or b -> return a and b",
        "  accepted toy_room.logic:13 ever: return b or a -> return b and a  (nobody asks)",
        "toy: 60% noticed, 3 of 5 drawn from 5 places; 1 of 2 survivors have no reason in "
        "tests/mutants.toml",
    ]
    assert (repository / "toy/toy_room/logic.py").read_text() == LOGIC, "only copies are changed"


def test_tests_that_fail_without_a_change_are_told(repository: Path) -> None:
    (repository / "tests/unit/toy/test_logic.py").write_text("def test_it():\n    assert False\n")
    assert "the tests fail without a change" in run(repository).stderr


@pytest.mark.parametrize(("least", "good"), [(0.85, True), (0.9, False)])
def test_survivors_with_reasons_fail_the_run_where_they_are_too_many(
    least: float, good: bool
) -> None:
    unseen = mutants_of("def either(a, b):\n    return a or b\n")
    (entry,) = [Accepted("m", "either", "nobody asks", after=each.after) for each in unseen]
    table = Table(least, (), (entry,))
    room = Room("toy", "toy_room", ("m",), ())
    assert report(room, table, unseen, drawn=8, places=8) is good


@pytest.mark.parametrize(
    "source",
    [
        '"""1 + 1 and True."""',
        '__all__ = ["a", "b"]',
        "def f(a: int | None, *, b: list[int | str] = f()) -> int | None: ...",
        "Reply = int | None",
        "f(*a, **b)",
        "zip(a, b, strict=True)",
        "assert a > 1",
        "@dataclass(frozen=True)\nclass A: ...",
        "if TYPE_CHECKING:\n    import a",
    ],
)
def test_what_no_test_of_behaviour_can_notice_is_not_changed(source: str) -> None:
    assert changes(f"{source}\n") == []


def test_each_place_is_changed_once_and_differently_by_the_seed() -> None:
    found = {seed: changes("def f(a):\n    return a < 10\n", seed) for seed in range(20)}
    assert all(len(each) == 2 for each in found.values())
    assert len({text for each in found.values() for text in each}) > 4


def test_a_sample_is_the_same_where_the_code_around_it_grows_or_moves() -> None:
    source = "".join(f"def f{n}(a):\n    return a + {n}\n" for n in range(2, 42))
    before = changes(source, 1, sample=8)
    assert changes(f"X = f()\n\n{source}", 1, sample=8, module="other.m") == before
    assert changes(source, 2, sample=8) != before


def test_a_change_is_made_where_it_is_said_to_be() -> None:
    source = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 1\n"
    first, second = sorted(mutants_of(source), key=lambda mutant: mutant.place.line)
    places = [(each.place.definition, each.place.line) for each in (first, second)]
    assert places == [("A.f", 3), ("A.g", 6)]
    lines = second.text.splitlines()
    assert lines[2] == "        return 1"
    assert second.after == " ".join(lines[5].split()) != "return 1"

"""Every single change of a module's source that a test ought to notice."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

_STARRED = ("parameters", "param", "argument", "lambdef")
# `==` for `is` and back is no change for most values; the rest need arguments or change nothing.
_LEFT_OUT = re.compile(
    r"NoOp|Variable|RemoveDecorator|(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)$|(Is|IsNot)_(Eq|NotEq|Lt|LtE|Gt|GtE)$"
)


@dataclass(frozen=True)
class Place:
    """Where one change can be made, and by which operator: its occurrence number `index`."""

    module: str
    line: int
    definition: str
    before: str
    occurrence: int
    operator: str
    index: int

    def rank(self, seed: int) -> bytes:
        """Draws lots: the same for the same code, however the code around it changes or moves."""
        name = f"{seed} {self.definition} {self.before} {self.operator} {self.occurrence}"
        return hashlib.sha256(name.encode()).digest()


@dataclass(frozen=True)
class Mutant:
    """A place with its line after the change, and the whole source."""

    place: Place
    after: str
    text: str

    @property
    def module(self) -> str:
        return self.place.module

    @property
    def change(self) -> str:
        return f"{self.place.before} -> {self.after}"

    def __str__(self) -> str:
        return f"{self.module}:{self.place.line} {self.place.definition}: {self.change}"


def places_of(module: str, source: str, seed: int) -> list[Place]:
    """Each place that can be changed, with one change: drawn by `seed` where there are several."""
    found: dict[tuple[Any, ...], list[Place]] = defaultdict(list)
    times: Counter[tuple[str, ...]] = Counter()
    lines = source.splitlines()
    tree = get_ast(source)
    for name in _operators():
        for index, (node, start, end) in enumerate(_positions(name, tree)):
            if _exempt(node, name):
                continue
            key = (_definition(node), _without_comment(lines[start[0] - 1]))
            place = Place(module, start[0], *key, times[(*key, name)], name, index)
            found[(start, end, name.partition("_")[0])].append(place)
            times[(*key, name)] += 1
    return [min(each, key=lambda place: place.rank(seed)) for each in found.values()]


def sampled(places: list[Place], count: int, seed: int) -> list[Place]:
    """As many of them as asked for, all for 0, in an order that only the seed and the code give."""
    return sorted(places, key=lambda place: place.rank(seed))[: count or None]


def made(source: str, place: Place) -> Mutant:
    """The source with the one change."""
    text = mutate_code(source, get_operator(place.operator)(), place.index)
    if text is None:
        raise ValueError(f"{place.operator} finds no occurrence {place.index}")
    return Mutant(place, _tidy(text.splitlines()[place.line - 1]), text)


@cache
def _operators() -> tuple[str, ...]:
    return tuple(sorted(name for name in operator_names() if not _LEFT_OUT.search(name)))


def _positions(name: str, tree: Any) -> Iterator[tuple[Any, tuple[int, int], tuple[int, int]]]:
    operator = get_operator(name)()
    for node in ast_nodes(tree):
        for start, end in operator.mutation_positions(node):
            yield node, start, end


def _tidy(line: str) -> str:
    """Without the spaces that the operators put before what they write."""
    line = re.sub(r"(?<=\S) +", " ", _without_comment(line))
    return re.sub(r"(?<=[\[({]) +", "", line)


def _without_comment(line: str) -> str:
    return re.sub(r"\s+# .*$", "", line).strip()


def _definition(node: Any) -> str:
    """`Class.function` around a node, or the name that a module gives the value."""
    names: list[str] = []
    at = node.parent
    while at is not None:
        if at.type in ("funcdef", "classdef"):
            names.append(at.name.value)
        elif at.type == "expr_stmt" and at.parent.parent.type == "file_input":
            names.append(at.children[0].get_code(include_prefix=False).strip())
        at = at.parent
    return ".".join(reversed(names)) or "<module>"


def _exempt(node: Any, operator: str) -> bool:
    """Types, decorators, assertions and `zip(strict=…)`: what no test of behaviour can notice.

    The stars of parameters and arguments are no multiplications.
    """
    union = "BinaryOperator_BitOr" in operator
    if "BinaryOperator" in operator and node.parent.type in _STARRED:
        return True
    at = below = node
    called = False
    while at is not None:
        if at.type in ("decorator", "assert_stmt"):
            return True
        if at.type == "if_stmt" and at.children[1].get_code().strip() == "TYPE_CHECKING":
            return True
        if at.type == "argument" and at.children[0].get_code().strip() == "strict":
            return True
        called = called or (at.type == "trailer" and at.children[0].value == "(")
        if union and _is_annotation(at, below):
            return True
        if union and at.type == "file_input" and not called:
            return bool(below.type == "simple_stmt")  # a name for a type
        at, below = at.parent, at
    return False


def _is_annotation(at: Any, below: Any) -> bool:
    if at.type == "annassign":
        return below is at.children[1]
    if at.type == "tfpdef":
        return below is at.children[-1]
    if at.type == "funcdef":
        return below is at.annotation
    return bool(at.type == "trailer" and at.children[0].value == "[")

"""No regular expression in the API or in core that nobody thought of: each is harmless by its form,
or has hostile input in `scripts/fuzz/parsers.py`, with which `test_parser_growth` measures it.
"""

from __future__ import annotations

import ast
import importlib
import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fuzz.parsers import OF_OUR_OWN, PARSERS

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Expression:
    """One use of `re`; `place` is the module, and the name that it has there or the function."""

    place: str
    pattern: str | None
    flags: int = 0


def expressions() -> Iterator[Expression]:
    for room in ("api/asr_api", "core/asr_core"):
        for file in sorted((ROOT / room).rglob("*.py")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts[1:])
            yield from _of_module(module.removesuffix(".__init__"), ast.parse(file.read_text()))


def _of_module(module: str, tree: ast.Module) -> Iterator[Expression]:
    for node in ast.walk(tree):
        is_renamed = isinstance(node, ast.ImportFrom) and node.module in ("re", "regex")
        is_renamed |= isinstance(node, ast.Import) and any(
            name.name == "regex" or (name.name == "re" and name.asname) for name in node.names
        )
        assert not is_renamed, f"{module}: write `import re`, so that this test finds its uses"
    for statement in _statements(tree):
        for node in ast.walk(statement):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr != "escape"
            ):
                yield _expression(f"{module}:{_name(statement)}", node)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            yield from statement.body
        else:
            yield statement


def _name(statement: ast.stmt) -> str:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
    return f"line {statement.lineno}"


def _expression(place: str, call: ast.Call) -> Expression:
    """From the program where it has a name, since parts may come from other names."""
    module, _, name = place.partition(":")
    made = getattr(importlib.import_module(module), name, None)
    if isinstance(made, re.Pattern) and isinstance(made.pattern, str):
        return Expression(place, made.pattern, made.flags & ~re.UNICODE)
    first = call.args[0]
    text = first.value if isinstance(first, ast.Constant) else None
    return Expression(place, text if isinstance(text, str) else None)


def is_harmless(pattern: str, flags: int) -> bool:
    """Whether it cannot backtrack far, by its form: it reads a bounded number of characters with no
    repetition within another, or is nothing but one repetition of single characters.
    """
    parsed = sre_parser.parse(pattern, flags)
    if len(parsed) == 1 and parsed[0][0] in (sre.MAX_REPEAT, sre.IN, sre.LITERAL):
        operation, argument = parsed[0]
        return operation is not sre.MAX_REPEAT or _is_one_character(argument[2])
    return parsed.getwidth()[1] <= 300 and not _nests(parsed, inside=False)


def _is_one_character(parsed: Any) -> bool:
    return len(parsed) == 1 and parsed[0][0] in (sre.IN, sre.LITERAL, sre.NOT_LITERAL, sre.ANY)


def _nests(parsed: Any, *, inside: bool) -> bool:
    """Whether a repetition holds another one, or a choice."""
    for operation, argument in parsed:
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            _, most, body = argument
            if inside or _nests(body, inside=most > 1):
                return True
        elif operation is sre.SUBPATTERN:
            if _nests(argument[-1], inside=inside):
                return True
        elif operation is sre.BRANCH and (
            inside or any(_nests(one, inside=False) for one in argument[1])
        ):
            return True
    return False


def test_every_regular_expression_is_harmless_by_its_form_or_has_hostile_input() -> None:
    covered = {place for parser in PARSERS for place in parser.covers} | set(OF_OUR_OWN)
    found = list(expressions())
    assert found
    unknown = [
        one.place
        for one in found
        if one.place not in covered
        and (one.pattern is None or not is_harmless(one.pattern, one.flags))
    ]
    assert not unknown, f"give them hostile input in PARSERS of scripts/fuzz/parsers.py: {unknown}"
    gone = covered - {one.place for one in found}
    assert not gone, f"these are not there any more: {gone}"


@pytest.mark.parametrize(
    "pattern",
    [
        r"\s*a\s*$",
        r"(a+)+",
        r"(a|b)*c",
        r"(a|a){0,30}",
        r"-{2,}>",
        r".*x",
        r"(?:[a-z]{2}){3}[0-9]+",
    ],
)
def test_the_guard_takes_no_expression_for_harmless_that_may_backtrack(pattern: str) -> None:
    assert not is_harmless(pattern, 0)


@pytest.mark.parametrize(
    "pattern", [r"[a-z]+", r"[\x21-\x7e]{1,255}", r"\d{4}-\d{2}", r"a|b", r"x?y?"]
)
def test_the_guard_lets_expressions_be_that_cannot(pattern: str) -> None:
    assert is_harmless(pattern, 0)

"""The Lua scripts are put together of the parts that they need, and of no others."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from asr_core.keys import Keys
from asr_core.queue.scripts import needs_of, part_names, script_names, script_text

LUA = files("asr_core.queue") / "lua"


def source(name: str) -> str:
    return LUA.joinpath(f"{name}.lua").read_text("utf-8")


def words(text: str) -> set[str]:
    """Identifiers that are no fields, without comments and strings."""
    bare = re.sub(r"'[^'\n]*'", "", re.sub(r"--.*", "", text))
    return set(re.findall(r"(?<![.\w])[A-Za-z_]\w*", bare))


def defined(text: str, *, inside: bool = False) -> set[str]:
    """Local names of a file; with those `inside` of its functions too, which may hide others."""
    start = r"^\s*" if inside else "^"
    names = re.findall(start + r"local (?:function )?(\w+(?:, \w+)*)", text, re.M)
    return {name for group in names for name in group.split(", ")}


DEFINED_BY = {name: part for part in part_names() for name in defined(source(f"shared/{part}"))}


@pytest.mark.parametrize("name", [*script_names(), *(f"shared/{part}" for part in part_names())])
def test_a_script_names_exactly_the_parts_that_it_uses(name: str) -> None:
    text = source(name)
    own = defined(text, inside=True)
    used = {DEFINED_BY[word] for word in words(text) - own if word in DEFINED_BY}
    assert sorted(used) == list(needs_of(text))


@pytest.mark.parametrize("name", script_names())
def test_no_name_is_defined_twice_in_a_script(name: str) -> None:
    text = script_text(name, Keys())
    names = re.findall(r"^local function (\w+)", text, re.M)
    assert len(names) == len(set(names))


def test_parts_stand_before_those_that_need_them() -> None:
    text = script_text("claim", Keys())
    assert text.index("local now") < text.index("local function count(")
    assert text.index("local function close(") < text.index("local function begin(")
    assert (
        text.index("local function begin(") < text.index("local args") < text.index(source("claim"))
    )


def test_a_small_script_carries_little() -> None:
    assert "local function" not in script_text("take_turn", Keys()).partition("asr:strays")[2]

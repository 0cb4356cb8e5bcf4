"""The Lua scripts: each is the shebang, the key names, the shared parts that it needs and its body.

The first line of a script or part says what it needs: `-- needs: clock, tasks`.

Every script but `submit`, and the question whether it would be taken, carries `allow-oom`: at its
memory limit Redis refuses new work and can still drain what it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from asr_core.keys import Keys

_FOLDER = files("asr_core.queue") / "lua"
_NEEDS = "-- needs: "
_ARGUMENTS = "local args = cjson.decode(ARGV[1])"
_REFUSED_WHEN_FULL = frozenset({"submit", "takes_work"})
_READ_ONLY = frozenset({"permissions"})


def script_names() -> tuple[str, ...]:
    """All scripts, in the order of the alphabet."""
    return _names(_FOLDER)


def part_names() -> tuple[str, ...]:
    """The parts that scripts share."""
    return _names(_FOLDER / "shared")


def script_text(name: str, keys: Keys) -> str:
    """The whole text of one script for one key prefix."""
    body = _source(name)
    parts = dict.fromkeys(_in_order(needs_of(body)))
    silent = name in _READ_ONLY
    flags = "no-writes,allow-oom" if silent else "allow-oom"
    shebang = "#!lua" if name in _REFUSED_WHEN_FULL else f"#!lua flags={flags}"
    shared = (_source(f"shared/{part}") for part in parts)
    return "\n".join((shebang, keys.lua(silent=silent), *shared, _ARGUMENTS, body))


def needs_of(source: str) -> tuple[str, ...]:
    """The parts that a script or part names in its first line."""
    first = source.partition("\n")[0]
    return tuple(first.removeprefix(_NEEDS).split(", ")) if first.startswith(_NEEDS) else ()


def _in_order(parts: tuple[str, ...]) -> Iterator[str]:
    """Each part after those that it needs; some of them more than once."""
    for part in parts:
        yield from _in_order(needs_of(_source(f"shared/{part}")))
        yield part


@cache
def _source(name: str) -> str:
    return _FOLDER.joinpath(f"{name}.lua").read_text(encoding="utf-8")


def _names(folder: Traversable) -> tuple[str, ...]:
    return tuple(
        sorted(
            each.name.removesuffix(".lua")
            for each in folder.iterdir()
            if each.name.endswith(".lua")
        )
    )

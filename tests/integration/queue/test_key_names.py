"""Python and the Lua scripts know the same names."""

from __future__ import annotations

import json
from typing import Protocol

import pytest
import redis

from asr_core.keys import Key, KeyOf, Keys
from asr_core.task import DEFAULT_POOL, Lane

NAMES = {name: each for name, each in vars(Keys).items() if isinstance(each, Key | KeyOf)}


class Server(Protocol):
    def client(self) -> redis.Redis: ...


def arguments(each: Key | KeyOf) -> list[list[str]]:
    """Calls of a name: with plain values, and with those that change its shape."""
    if isinstance(each, Key):
        return [[]]
    plain = [f"a.{name}" for name in each.parameters]
    defaults = {"pool": DEFAULT_POOL, "lane": str(Lane.NORMAL), "state": ""}
    return [plain, [defaults.get(name, f"b.{name}") for name in each.parameters]]


@pytest.mark.parametrize("prefix", ["", "site"])
def test_each_name_is_the_same_in_both_languages(redis_server: Server, prefix: str) -> None:
    keys = Keys(prefix)
    script = keys.lua(silent=True) + (
        "local key = K[ARGV[1]]\n"
        "return type(key) == 'string' and key or key(unpack(cjson.decode(ARGV[2])))"
    )
    with redis_server.client() as raw:
        for name, each in NAMES.items():
            for values in arguments(each):
                known = getattr(keys, name)
                in_python = known if isinstance(known, str) else known(*values)
                assert raw.eval(script, 0, name, json.dumps(values)) == in_python, name


def test_documented_names_are_what_they_were() -> None:
    keys = Keys()
    assert keys.stream(DEFAULT_POOL, Lane.NORMAL) == "asr_tasks"
    assert keys.stream("large", Lane.BATCH) == "asr_tasks:large:batch"
    assert keys.history("acme") == "asr:history:acme"
    assert keys.history("acme", "failed") == "asr:history:acme:failed"
    assert Keys("site").task("1") == "{site}:asr:task:1"


def test_a_name_with_too_few_values_is_no_name() -> None:
    with pytest.raises(KeyError):
        Keys().held("default", "normal")

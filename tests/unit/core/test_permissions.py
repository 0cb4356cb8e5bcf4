"""The list of commands is that of the code, and an administrator reads it in the documents."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from asr_core.keys import Keys
from asr_core.queue.permissions import COMMANDS, acl_rules, lacking, question, user_name
from asr_core.settings.redis import RedisSettings

ROOT = Path(__file__).parents[3]
QUEUE = ROOT / "core/asr_core/queue"
# What redis-py sends by itself, for scripts, subscriptions, transactions, pings and databases.
OF_THE_CLIENT = {
    "cluster|slots",
    "evalsha", "exec", "multi", "ping", "script|load", "select", "subscribe", "unsubscribe",
}  # fmt: skip
OTHER_NAMES = {"delete": "del"}
NO_COMMANDS = {"aclose", "close", "execute", "pipeline", "pubsub", "register_script"} | {
    "execute_command",
    "get_message",
}


def commands_of_scripts() -> set[str]:
    """`redis.call`, and the shared `try`, which is `redis.pcall`."""
    text = "\n".join(path.read_text() for path in (QUEUE / "lua").rglob("*.lua"))
    calls = re.findall(r"(?:redis\.p?call|\btry)\(\s*('\w+'|\w+|\.\.\.)(?:,\s*'([A-Z]+)')?", text)
    names = {
        name.strip("'").lower() + (f"|{sub.lower()}" if name in ("'XGROUP'", "'XINFO'") else "")
        for name, sub in calls
        if name != "..."
    }
    assert not {name for name in names if name.islower() is False}, names
    return names


def commands_of_python() -> set[str]:
    """Methods of a client or of a pipeline, wherever the room of the queue calls one."""
    found = set()
    for path in QUEUE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = ast.unparse(node.func.value).rsplit(".", 1)[-1]
                if of in ("client", "_client", "pipe", "pubsub"):
                    found.add(OTHER_NAMES.get(node.func.attr, node.func.attr))
    return found - NO_COMMANDS


def test_the_list_of_commands_is_what_scripts_and_python_send_no_more_and_no_less() -> None:
    assert set(COMMANDS) == commands_of_scripts() | commands_of_python() | OF_THE_CLIENT


def test_the_least_rules_stand_in_the_documents() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    rules = re.findall(r"^ACL SETUSER speech (.*)$", text, re.MULTILINE)
    assert tuple(" ".join(rules).split()) == ("on", ">PASSWORD", *acl_rules())


def test_rules_name_what_a_prefix_makes_of_keys_and_channels() -> None:
    assert acl_rules("speech")[:4] == (
        "~{speech}:asr:*",
        "~{speech}:asr_tasks*",
        "&{speech}:asr:*",
        "-@all",
    )


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "default"),
        ({"username": "asr"}, "asr"),
        ({"url": "redis://speech%40x:pw@redis:6379/0"}, "speech@x"),
        ({"url": "redis://:pw@redis:6379/0"}, "default"),
    ],
)
def test_words_name_the_user(settings: dict[str, str], name: str) -> None:
    where = RedisSettings(_env_file=None, **settings)  # type: ignore[arg-type]
    assert user_name(where) == name
    told = lacking(where, Keys("p"), [["info", "script|load"], ["{p}:asr_tasks:dead"], ["x"]])
    assert told.startswith(f"the Redis user {name!r} may not run INFO, SCRIPT LOAD, nor read and ")
    assert f"ACL SETUSER {name} +info +script|load ~{{p}}:asr_tasks* &{{p}}:asr:* (docs/" in told
    assert not lacking(where, Keys(), [[], [], []])


def test_select_is_asked_for_where_another_database_is_used() -> None:
    for values, asked in (
        ({}, False),
        ({"url": "redis://r/0"}, False),
        ({"url": "redis://r/3"}, True),
        ({"REDIS_DB": 2}, True),
    ):
        settings = RedisSettings(_env_file=None, **values)  # type: ignore[arg-type]
        assert ('"select"' in question(settings, Keys())) is asked

"""The Lua scripts: each is the shebang, the key names, the shared prelude and its own body.

Every script but `submit`, and the question whether it would be taken, carries `allow-oom`: at its
memory limit Redis refuses new work and can still drain what it has.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from asr_core.keys import Keys

NAMES = (
    "backlog", "beat", "cancel", "claim", "cordon", "delete", "discard", "fail", "finish", "forget",
    "move_due", "prepare", "reap", "reconcile", "recount", "recover", "release", "renew", "retry",
    "stats", "submit", "take_turn", "takes_work",
)  # fmt: skip
_REFUSED_WHEN_FULL = frozenset({"submit", "takes_work"})


@cache
def _source(name: str) -> str:
    return (files("asr_core.queue") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def script_text(name: str, keys: Keys) -> str:
    """The whole text of one script for one key prefix."""
    shebang = "#!lua" if name in _REFUSED_WHEN_FULL else "#!lua flags=allow-oom"
    return "\n".join((shebang, keys.lua(), _source("prelude"), _source(name)))

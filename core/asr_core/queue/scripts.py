"""The Lua scripts: each is the shebang, the key names, what all share (`counts`, `prelude`) and its
own body.

The scripts about callers share `callers` as well, those of the courier `courier`, those that look
at one tenant `tenant_view`.

Every script but `submit`, and the question whether it would be taken, carries `allow-oom`: at its
memory limit Redis refuses new work and can still drain what it has.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from asr_core.keys import Keys

NAMES = (
    "attend", "backlog", "beat", "cancel", "claim", "cordon", "delete", "desert", "discard", "fail",
    "fetch_failed", "fetch_renew", "fetch_take", "fetched", "finish", "forget", "hear", "join",
    "leave", "move_due", "permissions", "place", "prepare", "reap", "reconcile", "recount",
    "recount_dead", "recount_stored", "recover", "release", "renew", "retry", "revoke_key",
    "save_key", "say", "stats", "submit", "take_token", "take_turn", "takes_work", "tenant_room",
    "touch_key", "webhook_put_back", "webhook_report", "webhook_take",
)  # fmt: skip
_REFUSED_WHEN_FULL = frozenset({"submit", "takes_work"})
_KNOW_CALLERS = frozenset({"attend", "desert", "join", "leave", "submit"})
_OF_THE_COURIER = frozenset({"fetch_take", "webhook_put_back", "webhook_report", "webhook_take"})
_KNOW_TENANTS = frozenset({"backlog", "place", "stats", "submit"})
_STANDS_ALONE = "permissions"


@cache
def _source(name: str) -> str:
    return (files("asr_core.queue") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def script_text(name: str, keys: Keys) -> str:
    """The whole text of one script for one key prefix."""
    shebang = "#!lua" if name in _REFUSED_WHEN_FULL else "#!lua flags=allow-oom"
    extra = {"callers": _KNOW_CALLERS, "courier": _OF_THE_COURIER, "tenant_view": _KNOW_TENANTS}
    shared: tuple[str, ...] = ("counts", "prelude")
    shared += tuple(file for file, scripts in extra.items() if name in scripts)
    stands_alone = name == _STANDS_ALONE
    if stands_alone:
        shebang, shared = "#!lua flags=no-writes,allow-oom", ()
    return "\n".join((shebang, keys.lua(silent=stands_alone), *map(_source, (*shared, name))))

"""Every name in Redis, each spelled once: Python and the Lua scripts read the same table.

Default names are the documented ones (`asr_tasks`, `asr:task:{id}`), so that people can look with
redis-cli. With a prefix `p`, every name starts with `{p}:`: one hash slot, hence safe on a Cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import overload

from asr_core.task import DEFAULT_POOL, Lane

GROUP = "asr_workers"


class Key:
    """A name without parameters: on `Keys`, a string."""

    def __init__(self, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, keys: None, owner: type[Keys]) -> Key: ...
    @overload
    def __get__(self, keys: Keys, owner: type[Keys]) -> str: ...
    def __get__(self, keys: Keys | None, owner: type[Keys]) -> str | Key:
        return self if keys is None else keys.root + self._name

    def lua(self, name: str) -> str:
        return f"K.{name} = P .. '{self._name}'"


class KeyOf:
    """A name with parameters: on `Keys`, a function of them in their order.

    Each of `suffixes` is one more parameter; `:` and its value follow unless it has its default.
    """

    def __init__(self, template: str, **suffixes: str) -> None:
        self._template = template
        self._suffixes = suffixes
        self.parameters = (*re.findall(r"{(\w+)}", template), *suffixes)

    @overload
    def __get__(self, keys: None, owner: type[Keys]) -> KeyOf: ...
    @overload
    def __get__(self, keys: Keys, owner: type[Keys]) -> Callable[..., str]: ...
    def __get__(self, keys: Keys | None, owner: type[Keys]) -> Callable[..., str] | KeyOf:
        return self if keys is None else partial(self._name, keys.root)

    def _name(self, root: str, *values: object) -> str:
        given = {**self._suffixes, **dict(zip(self.parameters, map(str, values), strict=False))}
        name = root + self._template.format(**given)
        suffixes = ((given[each], default) for each, default in self._suffixes.items())
        return name + "".join(f":{value}" for value, default in suffixes if value != default)

    def lua(self, name: str) -> str:
        text = re.sub(r"{(\w+)}", r"' .. \1 .. '", self._template)
        suffixes = "".join(
            f"  if {each} ~= '{default}' then name = name .. ':' .. {each} end\n"
            for each, default in self._suffixes.items()
        )
        return (
            f"function K.{name}({', '.join(self.parameters)})\n"
            f"  local name = P .. '{text}'\n{suffixes}  return name\nend"
        )


# In a Cluster, commands of a script fail one by one on a slot that is being moved: on its old owner
# for a key that is not there, on its new one for two such keys. This one fails before any has
# written. Nobody ever makes these keys.
_FAIL_WHILE_SLOT_MOVES = "redis.call('EXISTS', P .. 'asr:slot:1', P .. 'asr:slot:2')\n"


class Keys:
    """Names under one prefix; `lua()` gives the same names to the scripts as `K`."""

    # The queue.
    stream = KeyOf("asr_tasks", pool=DEFAULT_POOL, lane=Lane.NORMAL)
    dead = Key("asr_tasks:dead")
    task = KeyOf("asr:task:{id}")
    schema = Key("asr:schema")
    pools = Key("asr:pools")
    waiting = KeyOf("asr:waiting:{pool}:{lane}")
    undelivered = KeyOf("asr:undelivered:{pool}:{lane}")
    held = KeyOf("asr:held:{pool}:{lane}:{tenant}")
    held_tenants = KeyOf("asr:held_tenants:{pool}:{lane}")
    next = KeyOf("asr:next:{pool}:{lane}")
    delayed = KeyOf("asr:delayed:{pool}")
    leases = KeyOf("asr:leases:{pool}:{lane}")
    solo = KeyOf("asr:solo:{pool}")
    solo_turn = KeyOf("asr:solo_turn:{pool}")
    turn = KeyOf("asr:turn:{pool}")
    backlog = KeyOf("asr:backlog:{pool}")
    wake = KeyOf("asr:wake:{pool}")  # a channel
    changed = KeyOf("asr:changed:{id}")  # a channel
    seen = Key("asr:redis_seen")
    remade = Key("asr:groups_remade")
    # Tasks after submission and before deletion.
    idempotency = KeyOf("asr:idempotency:{tenant}:{key}")
    history = KeyOf("asr:history:{tenant}", state="")
    deleted = KeyOf("asr:deleted:{id}")
    join = KeyOf("asr:join:{tenant}:{fingerprint}")
    callers = KeyOf("asr:callers:{id}")
    attended = Key("asr:attended")
    partials = KeyOf("asr:partials:{id}")
    # Workers, and what was measured.
    worker = KeyOf("asr:worker:{consumer}")
    workers = KeyOf("asr:workers:{pool}")
    models = KeyOf("asr:models:{pool}")
    stats = KeyOf("asr:stats:{pool}:{bucket}")
    totals = Key("asr:totals")
    tenant_stats = KeyOf("asr:tenant_stats:{pool}:{tenant}:{bucket}")
    tenant_totals = KeyOf("asr:tenant_totals:{tenant}")
    tenant_open = KeyOf("asr:tenant_open:{pool}")
    tenant_dead = Key("asr:tenant_dead")
    # The courier.
    outbox = Key("asr:outbox")
    webhook = KeyOf("asr:webhook:{id}")
    webhooks = Key("asr:webhooks")
    webhooks_dead = Key("asr:webhooks:dead")
    fetching = KeyOf("asr:fetching:{pool}")
    webhook_counts = Key("asr:webhooks:tenants")
    lines = KeyOf("asr:lines:{kind}")
    lines_of = KeyOf("asr:lines:{kind}:{tenant}")
    line = KeyOf("asr:line:{kind}:{name}")
    # Tenants and their keys.
    tenants = Key("asr:tenants")
    tenant_limits = Key("asr:tenant_limits")
    tenant_stored = Key("asr:tenant_stored")
    recount = KeyOf("asr:recount:{tenant}")
    rate = KeyOf("asr:rate:{tenant}")
    usage = KeyOf("asr:usage:{day}")  # counted from 1970-01-01
    api_keys = Key("asr:api_keys")
    api_key = KeyOf("asr:api_key:{digest}")
    # One process at a time.
    reconcile_lock = Key("asr:lock:reconcile")
    sweep_lock = Key("asr:lock:sweep")
    retention_lock = Key("asr:lock:retention")
    epoch = Key("asr:epoch")
    strays = Key("asr:strays")

    def __init__(self, prefix: str = "") -> None:
        self.root = f"{{{prefix}}}:" if prefix else ""

    def lua(self, *, silent: bool = False) -> str:
        """The scripts' prologue: the same names in Lua. A `silent` one calls nothing."""
        lanes = ", ".join(f"'{lane}'" for lane in Lane)
        names = (
            each.lua(name) for name, each in vars(Keys).items() if isinstance(each, Key | KeyOf)
        )
        text = (
            f"local P, GROUP, LANES, K = '{self.root}', '{GROUP}', {{{lanes}}}, {{}}\n"
            + "\n".join(names)
            + "\n"
        )
        return text + (_FAIL_WHILE_SLOT_MOVES if self.root and not silent else "")

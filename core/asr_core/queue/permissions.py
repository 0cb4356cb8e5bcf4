"""The Redis permissions that we need, and the detection of missing ones.

`COMMANDS` lists every command of the scripts and of the Python beside them, each with the right
number of arguments, as some servers crash on commands that are too short. A test compares the list
with the code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import redis

from asr_core.keys import Keys
from asr_core.settings.redis import RedisSettings
from asr_core.settings.redis_address import Topology, redis_address

KEY, CHANNEL = "<key>", "<channel>"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "cluster|slots": (),
    "del": (KEY,),
    "evalsha": ("0" * 40, "1", KEY),
    "exec": (),
    "exists": (KEY,),
    "expire": (KEY, "1"),
    "get": (KEY,),
    "getdel": (KEY,),
    "hdel": (KEY, "f"),
    "hexists": (KEY, "f"),
    "hget": (KEY, "f"),
    "hgetall": (KEY,),
    "hincrby": (KEY, "f", "1"),
    "hkeys": (KEY,),
    "hmget": (KEY, "f"),
    "hset": (KEY, "f", "v"),
    "hsetnx": (KEY, "f", "v"),
    "hvals": (KEY,),
    "incr": (KEY,),
    "info": ("server",),
    "lindex": (KEY, "0"),
    "llen": (KEY,),
    "lrange": (KEY, "0", "-1"),
    "multi": (),
    "pexpire": (KEY, "1"),
    "pexpireat": (KEY, "1"),
    "ping": (),
    "publish": (CHANNEL, "m"),
    "rpush": (KEY, "v"),
    "sadd": (KEY, "m"),
    "script|load": ("return 1",),
    "select": ("0",),
    "set": (KEY, "v"),
    "smembers": (KEY,),
    "srem": (KEY, "m"),
    "subscribe": (CHANNEL,),
    "time": (),
    "unsubscribe": (),
    "xack": (KEY, "g", "0-0"),
    "xadd": (KEY, "*", "f", "v"),
    "xclaim": (KEY, "g", "c", "0", "0-0"),
    "xdel": (KEY, "0-0"),
    "xgroup|create": (KEY, "g", "0"),
    "xgroup|delconsumer": (KEY, "g", "c"),
    "xinfo|consumers": (KEY, "g"),
    "xinfo|groups": (KEY,),
    "xlen": (KEY,),
    "xpending": (KEY, "g"),
    "xrange": (KEY, "-", "+"),
    "xreadgroup": ("GROUP", "g", "c", "STREAMS", KEY, ">"),
    "zadd": (KEY, "0", "m"),
    "zcard": (KEY,),
    "zcount": (KEY, "-inf", "+inf"),
    "zpopmin": (KEY,),
    "zrange": (KEY, "0", "-1"),
    "zrangebylex": (KEY, "-", "+"),
    "zrangebyscore": (KEY, "-inf", "+inf"),
    "zrank": (KEY, "m"),
    "zrem": (KEY, "m"),
    "zremrangebyscore": (KEY, "-inf", "+inf"),
    "zrevrange": (KEY, "0", "-1"),
    "zrevrangebylex": (KEY, "+", "-"),
    "zscore": (KEY, "m"),
}
_OTHER_DATABASES = "select"  # database 0 is there without it
_OF_A_CLUSTER = "cluster|slots"
# Redis 7.0 and Valkey 8; others say NOPERM. `try` in replies.lua knows the same.
_IN_A_SCRIPT = ("The user executing the script can't", "ACL failure in script")
_RUNBOOK = "docs/operations.md#redis-user"


def acl_rules(*prefixes: str) -> tuple[str, ...]:
    """The least rules for `ACL SETUSER`, for platforms with these key prefixes."""
    roots = [Keys(prefix).root for prefix in prefixes or ("",)]
    places = [f"{sign}{root}asr{end}" for root in roots for sign, end in _PLACES]
    return (*places, "-@all", *(f"+{name}" for name in COMMANDS))


_PLACES = (("~", ":*"), ("~", "_tasks*"), ("&", ":*"))


def is_denied(error: BaseException | None) -> bool:
    """Whether Redis refused for a missing permission, also inside a script."""
    if isinstance(error, redis.exceptions.NoPermissionError):
        return True
    is_reply = isinstance(error, redis.exceptions.ResponseError)
    return is_reply and any(words in str(error) for words in _IN_A_SCRIPT)


def user_name(settings: RedisSettings) -> str:
    """As whom these settings log in."""
    return redis_address(settings).username or "default"


def question(settings: RedisSettings, keys: Keys) -> str:
    """The argument of the script `permissions`."""
    commands, address = dict(COMMANDS), redis_address(settings)
    if not address.db:
        del commands[_OTHER_DATABASES]
    if address.topology is not Topology.CLUSTER:
        del commands[_OF_A_CLUSTER]
    return json.dumps(
        {
            "commands": [[*name.split("|"), *arguments] for name, arguments in commands.items()],
            "keys": [key for name, key in vars(keys).items() if name != "root"],
            "key": KEY,
            "channel": CHANNEL,
        }
    )


def lacking(settings: RedisSettings, keys: Keys, reply: list[list[str]]) -> str:
    """What the script found, as one line that says how to grant it; empty if nothing lacks."""
    commands, refused_keys, channels = reply
    patterns = {
        f"{keys.root}{'asr_tasks*' if 'asr_tasks' in key else 'asr:*'}": None
        for key in refused_keys
    }
    lacks = []
    if commands:
        lacks.append(f"run {', '.join(name.upper().replace('|', ' ') for name in commands)}")
    if patterns:
        lacks.append(f"read and write the keys {', '.join(patterns)}")
    if channels:
        lacks.append(f"use the channels {keys.root}asr:*")
    if not lacks:
        return ""
    grants = [
        *(f"+{name}" for name in commands),
        *(f"~{pattern}" for pattern in patterns),
        *([f"&{keys.root}asr:*"] if channels else []),
    ]
    user = user_name(settings)
    return (
        f"the Redis user {user!r} may not {', nor '.join(lacks)}: "
        f"ACL SETUSER {user} {' '.join(grants)} ({_RUNBOOK})"
    )


def refused(settings: RedisSettings, error: BaseException) -> str:
    """The message if not even the check may run."""
    user = user_name(settings)
    return f"the Redis user {user!r} may not do what is needed: {error} ({_RUNBOOK})"


def least_user_options(*prefixes: str, admin: str = "admin") -> tuple[str, ...]:
    """Arguments of a redis-server whose default user has the least permissions and whose `admin`
    has all, also as a replica of another such server: for tests and trials.
    """
    least = ("--user", "default", "on", "nopass", *acl_rules(*prefixes))
    everything = ("--user", admin, "on", "nopass", "~*", "&*", "+@all")
    return (*least, *everything, "--masteruser", admin, "--masterauth", "any")

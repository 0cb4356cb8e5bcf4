from __future__ import annotations

from pathlib import Path

import pytest

from asr_cli.errors import RedisMissing
from asr_cli.local.redis_server import (
    ServerProgram,
    find_server,
    parse_version,
    server_arguments,
)

REDIS_7 = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d"
REDIS_6 = "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=a3fd"
VALKEY_8 = "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=4f6d"


def finding(programs: dict[str, str]) -> ServerProgram:
    """Search on a machine where each named program answers as given."""
    return find_server(
        which=lambda name: f"/bin/{name}" if name in programs else None,
        ask_version=lambda path: programs[path.removeprefix("/bin/")],
    )


def test_the_version_is_read_from_what_the_server_says() -> None:
    assert parse_version(REDIS_7) == (7, 0, 15)
    assert parse_version(VALKEY_8) == (8, 1, 1)
    assert parse_version("command not found") is None


def test_redis_is_taken_when_it_is_new_enough() -> None:
    found = finding({"redis-server": REDIS_7, "valkey-server": VALKEY_8})
    assert str(found) == "Redis 7.0.15"


def test_valkey_is_taken_where_redis_is_too_old() -> None:
    found = finding({"redis-server": REDIS_6, "valkey-server": VALKEY_8})
    assert str(found) == "Valkey 8.1.1"


def test_a_redis_that_is_too_old_is_named_in_the_refusal() -> None:
    with pytest.raises(RedisMissing, match=r"7\.0 or newer.*/bin/redis-server is 6\.0\.16"):
        finding({"redis-server": REDIS_6})


def test_without_a_server_the_refusal_says_how_to_install_one() -> None:
    with pytest.raises(RedisMissing, match="apt install redis-server"):
        finding({})


def test_the_private_redis_keeps_every_write_and_opens_no_port() -> None:
    program = ServerProgram("/bin/redis-server", "redis-server", (7, 0, 15))
    line = " ".join(server_arguments(program, unix=Path("/d/s"), directory=Path("/d")))
    assert line.startswith("/bin/redis-server ")
    for option in (
        "--port 0",
        "--unixsocket /d/s",
        "--unixsocketperm 700",
        "--appendonly yes",
        "--appendfsync always",
        "--maxmemory-policy noeviction",
    ):
        assert option in line

"""A user of Redis who lacks permissions ends every program at its start, with one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REFUSED = (
    "the Redis user 'speech' may not run INFO: ACL SETUSER speech +info "
    "(docs/operations.md#redis-user)"
)


@pytest.fixture
def server(private_redis: Callable[..., Any], asr: Any, tmp_path: Path) -> Any:
    """A Redis, and a user of it whom a careful administrator has made."""
    server = private_redis("--maxmemory", "100mb")
    with server.client() as admin:
        rules = ("reset", "on", ">pw", "~asr*", "&asr*", "+@all", "-@dangerous")
        admin.execute_command("ACL", "SETUSER", "speech", *rules)
    asr.environment |= {
        "ASR_REDIS_URL": f"redis://speech:pw@127.0.0.1:{server.port}/0",
        "ASR_STORE_URL": (tmp_path / "store").as_uri(),
        "ASR_LOG_FORMAT": "json",
    }
    return server


@pytest.mark.parametrize(
    "program",
    [
        "api --port 0", "courier", "worker", "WORKER_COUNT=2 worker", "retention --every 60",
        "retention", "queue status", "reconcile",
    ],
)  # fmt: skip
def test_a_program_ends_with_one_line_that_names_what_lacks(
    asr: Any, server: Any, program: str
) -> None:
    words = program.split()
    environment = dict(word.split("=") for word in words if "=" in word)
    done = asr(*(word for word in words if "=" not in word), **environment)
    assert done.returncode == 1
    [line] = (done.stdout + done.stderr).splitlines()
    assert REFUSED in line
    with server.client() as admin:
        assert admin.dbsize() == 0


def test_the_queue_is_shown_with_a_word_about_a_policy_that_evicts(asr: Any, server: Any) -> None:
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "speech", "+info")
        admin.config_set("maxmemory-policy", "allkeys-lru")
    done = asr("queue", "status", "--json")
    assert done.returncode == 0
    assert "Redis evicts any key when it is full (maxmemory-policy allkeys-lru)" in done.stderr
    assert done.stdout.startswith("{")

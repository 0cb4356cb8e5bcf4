"""Settings of Redis that cannot be served end every program with one line, and no traceback."""

from typing import Any

import pytest

PROGRAMS = (
    ("api", "--port", "0"),
    ("worker",),
    ("courier",),
    ("operator",),
    ("retention",),
    ("retention", "--every", "60"),
    ("reconcile",),
    ("queue", "status"),
    ("queue", "webhooks"),
    ("keys", "list"),
    ("tenants", "list"),
)


@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_a_certificate_authority_for_a_connection_without_tls_ends_it(
    asr: Any, program: tuple[str, ...]
) -> None:
    ended = asr(*program, ASR_REDIS_URL="redis://:secret@redis:6379/0", REDIS_CA_FILE="/etc/ca.crt")
    assert ended.returncode == 1
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith("asr: REDIS_CA_FILE is set, but the connection is not encrypted")
    assert "secret" not in line


def test_several_wrong_settings_are_a_line_each(asr: Any) -> None:
    ended = asr("queue", "status", REDIS_PORT="x", REDIS_MAX_CONNECTIONS="0")
    assert ended.returncode == 1
    assert [line.partition(": I")[0] for line in ended.stderr.splitlines()] == [
        "asr: setting REDIS_PORT",
        "asr: setting REDIS_MAX_CONNECTIONS",
    ]

"""`asr keys`, `asr tenants`, `asr usage`, and the commands that send a key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from asr_cli.main import app

Run = Callable[..., str]


@pytest.fixture
def run(redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`asr` within this process; its stdout, or an AssertionError with its stderr."""
    monkeypatch.setenv("REDIS_PORT", str(redis_server.port))
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == status, done.output
        return done.stdout if status == 0 else done.stderr

    return run


@pytest.fixture
def keys_on(asr: Any) -> None:
    """The API that is started next asks for keys."""
    asr.environment["ASR_AUTH"] = "keys"


def test_a_new_key_is_alone_on_stdout_and_in_no_list(run: Run) -> None:
    secret = run("keys", "create", "laptop", "--tenant", "acme", "--expires", "90d").strip()
    assert secret.startswith("asr_")
    listed = run("keys", "list")
    assert "laptop" in listed
    assert "read, transcribe, write" in listed
    assert secret not in listed
    [key] = json.loads(run("keys", "list", "--json"))
    assert (key["name"], key["tenant"], key["last_used_at"]) == ("laptop", "acme", None)
    assert secret not in json.dumps(key)


def test_rotate_renews_revoke_ends_and_a_wrong_id_says_what_to_do(run: Run) -> None:
    first = json.loads(run("keys", "create", "ci", "--scope", "read", "--json"))
    second = json.loads(run("keys", "rotate", first["id"], "--grace", "1h", "--json"))
    assert second["key"] != first["key"]
    assert second["scopes"] == ["read"]
    old, new = json.loads(run("keys", "list", "--json"))
    assert old["expires_at"] is not None
    assert new["expires_at"] is None
    run("keys", "revoke", first["id"], second["id"])
    assert json.loads(run("keys", "list", "--json")) == []
    for command in (("revoke", first["id"]), ("rotate", first["id"])):
        assert "asr keys list" in run("keys", *command, status=1)
    assert "90d" in run("keys", "create", "x", "--expires", "soon", status=2)
    assert "a tenant is named" in run("keys", "create", "x", "--tenant", "a b", status=2)


def test_limits_are_set_listed_and_dropped(run: Run) -> None:
    run("tenants", "set", "acme", "--weight", "3", "--rate", "600", "--stored-gb", "1.5")
    run("tenants", "set", "acme", "--concurrent", "50")
    [acme] = json.loads(run("tenants", "list", "--json"))
    assert acme["limits"] == {
        "weight": 3.0, "rate_per_minute": 600, "open_tasks": 50, "stored_bytes": 1_500_000_000,
    }  # fmt: skip
    assert "600" in run("tenants", "list")
    assert "--weight" in run("tenants", "set", "acme", status=2)
    run("tenants", "set", "acme", "--reset")
    assert json.loads(run("tenants", "list", "--json")) == []


@pytest.mark.usefixtures("keys_on", "stand_in_worker")
def test_commands_send_the_key_and_usage_tells_what_it_brought(
    asr: Any, recordings: Callable[..., list[str]], api_url: str, run: Run
) -> None:
    [file] = recordings("talk.wav")
    refused = asr("transcribe", file)
    assert refused.returncode == 1
    assert "HTTP 401" in refused.stderr
    assert "asr keys create" in refused.stderr
    asr.environment["ASR_API_KEY"] = run("keys", "create", "laptop", "--tenant", "acme").strip()
    done: subprocess.CompletedProcess[str] = asr("transcribe", file)
    assert (done.returncode, done.stdout) == (0, "the words of talk.wav\n"), done.stderr
    load = asr("load-test", "1", "1", "--audio", file, "--json", "-")
    assert load.returncode == 0, load.stderr
    [acme] = json.loads(run("usage", "--json"))
    assert acme["tenant"] == "acme"
    assert acme["tasks"] >= 2
    assert acme["audio_seconds"] == pytest.approx(acme["tasks"] * 0.5)
    assert "acme" in run("usage")
    assert httpx.get(f"{api_url}/api/v1/usage").status_code == 401

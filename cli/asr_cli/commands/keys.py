"""`asr keys`: API keys of the platform. Talks to Redis directly."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_cli.console import fail, say
from asr_cli.redis_session import DataOption, with_redis
from asr_core.access import Scope
from asr_core.task import DEFAULT_TENANT, TENANT_PATTERN
from asr_core.text_limits import LABEL, shortened

if TYPE_CHECKING:
    from asr_core.access import ApiKey

DAY_SECONDS = 86_400
_UNITS = {"m": 60, "h": 3600, "d": DAY_SECONDS, "": DAY_SECONDS}
_DEFAULT_SCOPES = (Scope.TRANSCRIBE, Scope.READ, Scope.WRITE)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Create, list, rotate and revoke API keys, in the Redis of a running `asr up` or the one "
    "that settings name.",
    epilog="The API requires keys when it runs with `ASR_AUTH=keys`.",
)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Expires = Annotated[
    str, typer.Option(metavar="TIME", help="Lifetime: `90d`, `12h`, `30m`.  [default: never]")
]


@app.command(
    epilog="Examples: `asr keys create laptop`, `asr keys create ci --tenant acme --scope "
    "transcribe --scope read --expires 90d --json`"
)
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Annotated[
        str, typer.Option(help="Its tenant; keys of one tenant see the same tasks.")
    ] = DEFAULT_TENANT,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="Repeatable.  [default: transcribe, read, write]"),
    ] = None,
    expires: _Expires = "",
    as_json: _Json = False,
    data: DataOption = None,
) -> None:
    """Create a key and print it. It cannot be shown again: only its SHA-256 is stored."""
    from asr_core.queue import ApiKeyStore

    check_tenant(tenant)
    if not LABEL.fits(name):
        fail(f"the name of a key has {LABEL.words}, not {shortened(name)}", 2)
    lasts_seconds = _seconds(expires, "--expires") if expires else 0
    secret, key = with_redis(
        lambda connection: ApiKeyStore(connection).create(
            name, tenant=tenant, scopes=scope or _DEFAULT_SCOPES, lasts_seconds=lasts_seconds
        ),
        data,
    )
    _show_once(secret, key, as_json)


@app.command("list", epilog="Examples: `asr keys list`, `asr keys list --json`")
def list_keys(as_json: _Json = False, data: DataOption = None) -> None:
    """List all keys, without their secrets; expired and revoked ones for thirty days."""
    from asr_core.queue import ApiKeyStore

    keys = with_redis(lambda connection: ApiKeyStore(connection).list(), data)
    if as_json:
        typer.echo(json.dumps([_as_json(key) for key in keys], indent=2))
    else:
        _print_table(keys)


@app.command(epilog="Example: `asr keys revoke 0199…`")
def revoke(
    key_ids: Annotated[list[str], typer.Argument(help="Ids, as `asr keys list` shows them.")],
    data: DataOption = None,
) -> None:
    """Revoke keys: every API pod refuses them within ten seconds."""
    from asr_core.queue import ApiKeyStore, RedisConnection

    async def run(connection: RedisConnection) -> None:
        for key_id in key_ids:
            await ApiKeyStore(connection).revoke(key_id)

    with_redis(run, data)
    say(f"{len(key_ids)} revoked")


@app.command(epilog="Example: `asr keys rotate 0199… --grace 48h --expires 90d`")
def rotate(
    key_id: Annotated[str, typer.Argument(help="Id of the key to replace.")],
    grace: Annotated[
        str, typer.Option(metavar="TIME", help="How long the old key stays valid.")
    ] = "24h",
    expires: _Expires = "",
    as_json: _Json = False,
    data: DataOption = None,
) -> None:
    """Create a replacement for a key and print it; the old one stays valid for a while."""
    from asr_core.queue import ApiKeyStore

    grace_seconds = _seconds(grace, "--grace")
    lasts_seconds = _seconds(expires, "--expires") if expires else 0
    secret, key = with_redis(
        lambda connection: ApiKeyStore(connection).rotate(
            key_id, grace_seconds=grace_seconds, lasts_seconds=lasts_seconds
        ),
        data,
    )
    _show_once(secret, key, as_json)


def check_tenant(tenant: str) -> None:
    """Leaves with status 2 for a name that no tenant can have."""
    if not re.fullmatch(TENANT_PATTERN, tenant):
        fail(
            f"a tenant is named by up to 64 letters, digits, '.', '_', '-', not "
            f"{shortened(tenant)}",
            2,
        )


def _seconds(text: str, option: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([mhd]?)", text)
    if not found:
        fail(f"{option} takes a time such as 90d, 12h or 30m, not {text!r}", status=2)
    return int(found[1]) * _UNITS[found[2]]


def _show_once(secret: str, key: ApiKey, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"key": secret, **_as_json(key)}, indent=2))
        return
    typer.echo(secret)
    say(f"id {key.id}, tenant {key.tenant}, scopes {_scopes(key)}, expires {utc(key.expires_at)}")
    say("store it now: it cannot be shown again")


def _as_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": sorted(key.scopes),
        "created_at": utc(key.created_at),
        "expires_at": utc(key.expires_at) if key.expires_at else None,
        "last_used_at": utc(key.last_used_at) if key.last_used_at else None,
    }


def _print_table(keys: list[ApiKey]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console()
    if not keys:
        console.print("no keys; `asr keys create NAME` creates one")
        return
    whole = Column("id", no_wrap=True, min_width=36)  # `asr keys revoke` needs all of it
    table = Table(whole, "name", "tenant", "scopes", "expires", "last used", box=SIMPLE)
    for key in keys:
        days = (utc(moment).partition("T")[0] for moment in (key.expires_at, key.last_used_at))
        table.add_row(key.id, Text(key.name), key.tenant, _scopes(key), *days)
    console.print(table)


def _scopes(key: ApiKey) -> str:
    return ", ".join(sorted(key.scopes))


def utc(unix_seconds: float | None) -> str:
    """`2026-11-22T22:00:00Z`, or `never`."""
    from datetime import UTC, datetime

    if unix_seconds is None:
        return "never"
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""`asr tenants`: limits and weights of tenants. Talks to Redis directly."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from asr_cli.commands.keys import check_tenant
from asr_cli.console import fail, say
from asr_cli.redis_session import DataOption, with_redis

if TYPE_CHECKING:
    from asr_core.queue import TenantUsage

GB = 10**9

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Limits and weights of tenants, in the Redis of a running `asr up` or the one that "
    "settings name; changes apply within ten seconds.",
    epilog="What is not set for a tenant follows the settings `ASR_TENANT_…`.",
)


@app.command("set", epilog="Example: `asr tenants set acme --weight 3 --rate 600 --concurrent 50`")
def set_limits(
    tenant: Annotated[str, typer.Argument(help="The tenant's name.")],
    weight: Annotated[
        float | None,
        typer.Option(min=0.01, max=100, help="Share of the workers; other tenants have 1."),
    ] = None,
    rate: Annotated[
        int | None, typer.Option(min=0, help="Requests a minute; 0: unlimited.")
    ] = None,
    concurrent: Annotated[int | None, typer.Option(min=0, help="Open tasks; 0: unlimited.")] = None,
    stored_gb: Annotated[
        float | None, typer.Option(min=0, help="Recordings kept, in 10⁹ bytes; 0: unlimited.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="First remove all limits of its own.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Set limits of one tenant. Those not given stay as they are."""
    from asr_core.access import TenantLimits
    from asr_core.queue import RedisConnection, Tenants
    from asr_core.settings.queue import TenantSettings

    check_tenant(tenant)
    limits = TenantLimits(
        weight=weight,
        rate_per_minute=rate,
        open_tasks=concurrent,
        stored_bytes=None if stored_gb is None else round(stored_gb * GB),
    )
    if not reset and limits == TenantLimits():
        fail("say what to set: --weight, --rate, --concurrent, --stored-gb or --reset", status=2)

    async def run(connection: RedisConnection) -> None:
        tenants = Tenants(connection, TenantSettings())
        if reset:
            await tenants.clear_limits(tenant)
        await tenants.set_limits(tenant, limits)

    with_redis(run, data)
    say(f"limits of {tenant} are set")


@app.command("list", epilog="Examples: `asr tenants list`, `asr tenants list --json`")
def list_tenants(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: DataOption = None,
) -> None:
    """List the tenants that have tasks or limits, with limits and usage."""
    from asr_core.queue import Tenants
    from asr_core.settings.queue import TenantSettings

    settings = TenantSettings()
    standings = with_redis(lambda connection: Tenants(connection, settings).tenant_usage(), data)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in standings], indent=2))
    else:
        _print_table(standings)


def _print_table(standings: list[TenantUsage]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not standings:
        console.print("no tenant has tasks or limits yet")
        return
    table = Table("tenant", "weight", "requests/min", "open", "most", "stored GB", "most GB")
    for each in standings:
        own = each.limits
        most_gb = None if own.stored_bytes is None else own.stored_bytes / GB
        table.add_row(
            each.tenant,
            _told(own.weight, none="1"),
            _told(own.rate_per_minute),
            str(each.open_tasks),
            _told(own.open_tasks),
            f"{each.stored_bytes / GB:.3f}",
            _told(most_gb),
        )
    console.print(table)
    console.print("–: the default of the settings", highlight=False)


def _told(limit: float | None, none: str = "–") -> str:
    if limit is None:
        return none
    return f"{limit:g}" if limit else "∞"

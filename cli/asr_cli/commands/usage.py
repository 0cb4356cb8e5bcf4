"""`asr usage`: seconds of audio and of speech per tenant. Talks to Redis directly."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from asr_cli.console import fail
from asr_cli.redis_session import DataOption, with_redis

if TYPE_CHECKING:
    from asr_core.access import Usage

EXAMPLES = """
Examples:

- `asr usage`
- `asr usage --from 2026-10-01 --to 2026-10-31 --tenant acme --json`
"""
_DAYS = 400


def usage(
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First day.  [default: 30 days ago]"),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.  [default: today]"),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, by day.")] = False,
    data: DataOption = None,
) -> None:
    """Show completed tasks, their audio and how much of it is speech, per tenant.

    Days are UTC and kept for 400 days.
    """
    from asr_core.queue import Tenants
    from asr_core.queue.tenants import today
    from asr_core.settings.queue import TenantSettings

    to_day = last.date() if last else today()
    from_day = first.date() if first else date.fromordinal(max(1, to_day.toordinal() - 30))
    if not timedelta(0) <= to_day - from_day < timedelta(days=_DAYS):
        fail(f"--from must not be after --to, nor more than {_DAYS} days before it", status=2)
    settings = TenantSettings()
    used = with_redis(
        lambda connection: Tenants(connection, settings).usage(from_day, to_day, tenant), data
    )
    if as_json:
        rows = [
            {"day": u.day.isoformat(), "tenant": u.tenant, "tasks": u.tasks}
            | {"audio_seconds": u.audio_seconds, "speech_seconds": u.speech_seconds}
            for u in used
        ]
        typer.echo(json.dumps(rows, indent=2))
    else:
        _print_table(used, from_day, to_day)


def _print_table(used: list[Usage], from_day: date, to_day: date) -> None:
    from rich.console import Console
    from rich.table import Table

    from asr_cli.commands.queue_tables import duration

    table = Table("tenant", "tasks", "audio", "speech", title=f"{from_day} to {to_day}")
    for name in sorted({u.tenant for u in used}):
        own = [u for u in used if u.tenant == name]
        audio = duration(sum(u.audio_seconds for u in own))
        speech = duration(sum(u.speech_seconds for u in own))
        table.add_row(name, str(sum(u.tasks for u in own)), audio, speech)
    Console().print(table if used else "no task was completed in this period")

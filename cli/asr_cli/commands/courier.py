"""`asr courier`, and what `asr queue` shows of its webhooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_cli.console import fail, say
from asr_cli.redis_session import DataOption, with_redis

if TYPE_CHECKING:
    from asr_core.queue import DeadWebhookPage, RedisConnection

EXAMPLES = """
Examples:

- `asr courier`
- `ASR_WEBHOOK_SECRET=whsec_… REDIS_HOST=redis ASR_STORE_URL=s3://bucket/asr asr courier`
"""
WEBHOOKS_EXAMPLES = "Examples: `asr queue webhooks`, `asr queue webhooks --limit 500 --json`"
SEND_AGAIN_EXAMPLES = "Examples: `asr queue send-again 1763-0`, `asr queue send-again --all`"


def courier() -> None:
    """Run only the courier, which delivers webhooks and downloads recordings submitted by URL."""
    from asr_api.courier.program import main

    main()


def webhooks(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Webhooks per page.")] = 50,
    cursor: Annotated[str, typer.Option(help="Cursor printed by the previous page.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: DataOption = None,
) -> None:
    """List the webhooks that could not be delivered, and why."""
    from asr_core.queue import Outbox

    page = with_redis(lambda connection: Outbox(connection).dead(cursor=cursor, limit=limit), data)
    if as_json:
        typer.echo(json.dumps(_page_json(page), indent=2))
    else:
        _print_page(page)


def send_again(
    places: Annotated[list[str] | None, typer.Argument(help="Webhooks to send again.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All undelivered webhooks.")] = False,
    data: DataOption = None,
) -> None:
    """Send undelivered webhooks again, with all their tries and the same ids."""
    if bool(places) == everything:
        fail("name the webhooks to send again, or use --all", status=2)
    wanted = list(places or ())

    async def run(connection: RedisConnection) -> list[str]:
        from asr_core.queue import Outbox

        outbox = Outbox(connection)
        if not everything:
            return await outbox.redrive(wanted)
        ids: list[str] = []
        while letters := (await outbox.dead(limit=500)).webhooks:
            ids += await outbox.redrive([letter.place for letter in letters])
        return ids

    ids = with_redis(run, data)
    for webhook_id in ids:
        typer.echo(webhook_id)
    say(f"{len(ids)} will be sent again")
    if not everything and len(ids) < len(wanted):
        fail(f"{len(wanted) - len(ids)} of them are not undelivered webhooks")


def _page_json(page: DeadWebhookPage) -> dict[str, Any]:
    rows = [
        {
            "place": dead.place,
            "died_at": dead.died_at,
            "webhook_id": dead.webhook.webhook_id,
            "task_id": dead.webhook.task_id,
            "state": dead.webhook.state.value,
            "receiver": dead.webhook.receiver,
            "tries": dead.webhook.attempts,
            "reason": dead.webhook.reason,
        }
        for dead in page.webhooks
    ]
    return {"webhooks": rows, "next_cursor": page.next_cursor}


def _print_page(page: DeadWebhookPage) -> None:
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not page.webhooks:
        console.print("no undelivered webhooks")
        return
    table = Table("place", "given up", "task", "state", "receiver", "tries", "reason")
    for dead in page.webhooks:
        died = datetime.fromtimestamp(dead.died_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        hook = dead.webhook
        table.add_row(
            dead.place, died, hook.task_id, hook.state.value, Text(hook.receiver),
            str(hook.attempts), Text(hook.reason),
        )  # fmt: skip
    console.print(table)
    if page.next_cursor:
        console.print(f"more: asr queue webhooks --cursor {page.next_cursor}", highlight=False)

"""`asr reconcile`: the upkeep of queue and store by hand, as the API does it by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_cli.console import fail
from asr_cli.redis_session import with_redis

if TYPE_CHECKING:
    from asr_core.queue import RedisConnection

EXAMPLES = """
Examples:

- `asr reconcile`
- `asr reconcile --sweep --dry-run --json` counts blobs that no task points to
- `asr reconcile --adopt-store` after Redis or the store was restored from a backup
"""


def reconcile(
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also delete blobs of the store that no task points to.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --sweep: only count them.")
    ] = False,
    adopt_store: Annotated[
        bool,
        typer.Option(
            "--adopt-store",
            help="Say that this Redis and this store belong together, whatever marker they carry.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Queue again what fell out of the queue, count the backlog anew, remove dead consumers.

    The API does this every minute, and sweeps about once an hour; by hand it is for a queue without
    an API, and for what the API refuses to decide.
    """
    import json

    if dry_run and not sweep:
        fail("--dry-run goes with --sweep", status=2)

    async def run(connection: RedisConnection) -> dict[str, Any]:
        told = await _mend(connection)
        if adopt_store or sweep:
            told |= await _look_after_store(connection, adopt_store, sweep, dry_run)
        return told

    told = with_redis(run)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in told.items()))


async def _mend(connection: RedisConnection) -> dict[str, Any]:
    from dataclasses import asdict

    from asr_core.queue import Upkeep
    from asr_core.settings import QueueSettings

    upkeep = Upkeep(connection, QueueSettings())
    moved = await upkeep.move_due()
    counts = await upkeep.reconcile(force=True)
    return {"retries_moved": moved, **(asdict(counts) if counts else {})}


async def _look_after_store(
    connection: RedisConnection, adopt: bool, sweep: bool, dry_run: bool
) -> dict[str, Any]:
    from asr_core.queue.sweeping import Sweeping
    from asr_core.settings import StoreSettings
    from asr_core.store import Store
    from asr_core.sweep import Sweep

    store = Store.open(StoreSettings().store_url)
    await store.ready()
    sweeper = Sweep(Sweeping(connection), store)
    told: dict[str, Any] = {}
    if adopt:
        await sweeper.mark(adopt=True)
        told["adopted"] = store.url
    if sweep:
        swept = await sweeper.run(dry_run=dry_run)
        told |= {"blobs": swept.seen, "orphans": swept.orphans, "deleted": swept.deleted}
    return told

"""`asr reconcile`: the upkeep of queue and store by hand, as the API does it by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_cli.console import fail
from asr_cli.redis_session import DataOption, at_place

if TYPE_CHECKING:
    from asr_core.queue import RedisConnection

EXAMPLES = """
Examples:

- `asr reconcile`
- `asr reconcile --sweep --dry-run --json` counts orphaned blobs
- `asr reconcile --adopt-store` after Redis or the store was restored from a backup
"""


def reconcile(
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also delete orphaned blobs, which no task points to.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --sweep: only count them.")
    ] = False,
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="With --sweep: age in seconds of the blobs to delete. Lower it only while "
            "no upload or submission in progress is older: its blob has no task yet, and would "
            "be deleted.  [default: a day]",
        ),
    ] = None,
    adopt_store: Annotated[
        bool,
        typer.Option(
            "--adopt-store",
            help="Declare that this Redis and this store belong together, whatever their markers "
            "say. Orphaned blobs are deleted a day later, or at once with --sweep.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: DataOption = None,
) -> None:
    """Requeue what fell out of the queue, recount the backlog, remove dead consumers.

    The API does this every minute, and sweeps about once an hour. Run it by hand where no API runs,
    and for what the API does not decide by itself.
    """
    import json

    if (dry_run or older_than is not None) and not sweep:
        fail("--dry-run and --older-than go with --sweep", status=2)
    from asr_cli.local.running_platform import find_place

    place = find_place(data, store=True)

    async def run(connection: RedisConnection) -> dict[str, Any]:
        reported = await _mend(connection)
        if adopt_store or sweep:
            reported |= await _look_after_store(
                connection, place.store_url, adopt_store, sweep, dry_run, older_than
            )
        return reported

    reported = at_place(place, run)
    if as_json:
        typer.echo(json.dumps(reported))
    else:
        typer.echo(
            ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in reported.items())
        )


async def _mend(connection: RedisConnection) -> dict[str, Any]:
    from dataclasses import asdict

    from asr_core.queue import QueueReconciler
    from asr_core.settings.queue import QueueSettings

    upkeep = QueueReconciler(connection, QueueSettings())
    moved = await upkeep.move_due()
    counts = await upkeep.reconcile(force=True)
    return {"retries_moved": moved, **(asdict(counts) if counts else {})}


async def _look_after_store(
    connection: RedisConnection,
    store_url: str,
    adopt: bool,
    sweep: bool,
    dry_run: bool,
    older_than: float | None,
) -> dict[str, Any]:
    from asr_core.lifecycle.orphan_sweep import MIN_AGE_SECONDS, Sweep
    from asr_core.queue.orphan_index import OrphanIndex
    from asr_core.store import Store

    store = Store.open(store_url)
    await store.ready()
    sweeper = Sweep(OrphanIndex(connection), store)
    reported: dict[str, Any] = {}
    if adopt:
        await sweeper.mark(adopt=True)
        reported["adopted"] = store.url
    if sweep:
        age_seconds = MIN_AGE_SECONDS if older_than is None else older_than
        swept = await sweeper.run(min_age_seconds=age_seconds, dry_run=dry_run)
        reported |= {"blobs": swept.seen, "orphans": swept.orphans, "deleted": swept.deleted}
    return reported

"""`asr queue`: what waits, what died, and putting it back. Talks to Redis directly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from asr_cli.commands import courier
from asr_cli.console import fail, say
from asr_cli.redis_session import DataOption, with_redis

if TYPE_CHECKING:
    from asr_core.queue import Backlog, RedisConnection, WorkerRecord

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Inspect the queue and its dead letters, in the Redis of a running `asr up` or the one "
    "that settings name.",
    epilog="Example: `asr queue status`; of a folder: `asr queue status --data DIR`",
)
app.command(epilog=courier.WEBHOOKS_EXAMPLES)(courier.webhooks)
app.command("send-again", epilog=courier.SEND_AGAIN_EXAMPLES)(courier.send_again)
_Pool = Annotated[str, typer.Option(help="Pool to show.")]
_Tenant = Annotated[str | None, typer.Option(help="Only tasks of this tenant.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Examples: `asr queue status`, `asr queue status --pool gpu-large --json`")
def status(
    pool: _Pool = "default",
    tenant: _Tenant = None,
    as_json: _Json = False,
    data: DataOption = None,
) -> None:
    """Show waiting and in-flight tasks by lane, and the live workers."""
    from asr_cli.commands.queue_tables import backlog_json, backlog_tables
    from asr_core.queue import BacklogReader, Eviction, read_eviction
    from asr_core.settings.queue import QueueSettings

    async def read(
        connection: RedisConnection,
    ) -> tuple[Backlog, list[WorkerRecord], Eviction]:
        reader = BacklogReader(connection, QueueSettings())
        backlog, workers = await reader.read(pool, tenant), await reader.workers(pool)
        return backlog, workers, await read_eviction(connection)

    backlog, workers, eviction = with_redis(read, data)
    if eviction.problem or eviction.note:
        say(eviction.problem or eviction.note)
    if as_json:
        typer.echo(json.dumps(backlog_json(backlog, workers), indent=2))
    else:
        backlog_tables(backlog, workers)


@app.command(epilog="Examples: `asr queue dead`, `asr queue dead --limit 500 --json`")
def dead(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Dead letters per page.")] = 50,
    cursor: Annotated[str, typer.Option(help="Cursor printed by the previous page.")] = "",
    as_json: _Json = False,
    data: DataOption = None,
) -> None:
    """List the dead letters: tasks that failed after repeated errors or worker crashes."""
    from asr_cli.commands.queue_tables import dead_letters_json, dead_letters_table
    from asr_core.queue import Producer
    from asr_core.settings.queue import QueueSettings

    page = with_redis(
        lambda connection: Producer(connection, QueueSettings()).dead_letters(
            cursor=cursor, limit=limit
        ),
        data,
    )
    if as_json:
        typer.echo(json.dumps(dead_letters_json(page), indent=2))
    else:
        dead_letters_table(page)


@app.command("put-back", epilog="Examples: `asr queue put-back 0199…`, `asr queue put-back --all`")
def put_back(
    task_ids: Annotated[list[str] | None, typer.Argument(help="Tasks to requeue.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    data: DataOption = None,
) -> None:
    """Requeue dead letters, with their error and crash counters reset."""
    from asr_cli.commands.dead_letters import put_back_all, put_back_each
    from asr_core.queue import Producer
    from asr_core.settings.queue import QueueSettings

    if bool(task_ids) == everything:
        fail("name the tasks to requeue, or use --all", status=2)
    ids = list(task_ids or ())

    async def run(connection: RedisConnection) -> tuple[list[str], list[str]]:
        producer = Producer(connection, QueueSettings())
        return await (put_back_all(producer) if everything else put_back_each(producer, ids))

    done, failed = with_redis(run, data)
    for task_id in done:
        typer.echo(task_id)
    say(f"{len(done)} requeued")
    if failed:
        fail("; ".join(failed))

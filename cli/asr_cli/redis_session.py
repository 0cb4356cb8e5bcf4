"""One question to the Redis of the settings, or of a running `asr up`, from a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from asr_cli.local.running_platform import Place
    from asr_core.queue import RedisConnection

T = TypeVar("T")
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        file_okay=False,
        readable=False,  # another user's folder gets an error message of our own
        show_default=False,
        help="Data folder of a running `asr up`.  [default: ASR_DATA or `data`, unless settings "
        "name a Redis]",
    ),
]


def with_redis(use: Callable[[RedisConnection], Awaitable[T]], data: Path | None) -> T:
    """What `use` returns; QueueUnavailable or SchemaMismatch before it is called."""
    from asr_cli.local.running_platform import find_place

    return at_place(find_place(data), use)


def at_place(place: Place, use: Callable[[RedisConnection], Awaitable[T]]) -> T:
    """The same for a place that was found already."""
    from asr_core.queue import RedisConnection

    async def run() -> T:
        connection = RedisConnection(place.redis)
        try:
            with place.advising():
                await connection.ready()
            return await use(connection)
        finally:
            await connection.close()

    return asyncio.run(run())

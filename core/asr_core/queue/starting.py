"""Startup check: a missing Redis permission ends the program with one line."""

from __future__ import annotations

from asr_core.errors import PermissionMissing, QueueUnavailable
from asr_core.queue.connection import RedisConnection
from asr_core.settings.redis import RedisSettings


async def require_permissions(settings: RedisSettings) -> None:
    """Raises `PermissionMissing`. An unavailable Redis is not an error here: programs wait for it
    later.
    """
    connection = RedisConnection(settings)
    try:
        await connection.require_permissions()
    except PermissionMissing:
        raise
    except QueueUnavailable:
        return
    finally:
        await connection.close()

"""What a program asks Redis before it starts: a mistake of configuration ends it in one line."""

from __future__ import annotations

from asr_core.errors import PermissionMissing, QueueUnavailable
from asr_core.queue.connection import RedisConnection
from asr_core.settings.redis import RedisSettings


async def require_permissions(settings: RedisSettings) -> None:
    """Raises `PermissionMissing`. A Redis that is away is no reason: it is waited for later."""
    connection = RedisConnection(settings)
    try:
        await connection.require_permissions()
    except PermissionMissing:
        raise
    except QueueUnavailable:
        return
    finally:
        await connection.close()

"""Connections that follow the master after a failover.

After a failover that keeps connections open (ElastiCache, Memorystore) the old master keeps
answering READONLY. Such a reply closes all connections of the pool; new ones resolve DNS, the
Sentinels or the Cluster again. Nothing was executed, so redis-py may repeat the call if it has
retries.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.connection import UnixDomainSocketConnection
from redis.connection import UnixDomainSocketConnection as SyncUnixDomainSocketConnection
from redis.exceptions import BusyLoadingError, MovedError, ResponseError

from asr_core.errors import QueueUnavailable
from asr_core.queue.masters import Master, SyncMaster
from asr_core.settings.redis_address import Node

IDLE_SECONDS = 30.0
# NOREPLICAS: with min-replicas-to-write, a master that was cut off from the others.
_ELSEWHERE = frozenset(
    {"READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "MOVED", "ASK", "TRYAGAIN",
     "UNBLOCKED"}
)  # fmt: skip
_SLOT_MOVES = ("Script attempted to access a non local key", "rehashing of the slot")
_KNOWN_BUSY = (ResponseError, BusyLoadingError)


class NotTheMaster(QueueUnavailable, redis.exceptions.ConnectionError):
    """The server is not the master. Nothing was executed."""


def error_code(error: redis.exceptions.RedisError) -> str:
    """The first word of an error reply; redis-py cuts it off where it has a class for it."""
    return error.status_code or str(error).partition(" ")[0]


def elsewhere(error: redis.exceptions.RedisError) -> bool:
    """Whether to look for another server. For scripts this holds only because each checks first
    that its slot is not moving: see `keys`.
    """
    return error_code(error) in _ELSEWHERE or _slot_moves(error)


def _slot_moves(error: redis.exceptions.RedisError) -> bool:
    """As scripts say it, Redis 7.0 and later ones; they give it no code of its own."""
    return error_code(error) in ("ASK", "TRYAGAIN") or any(w in str(error) for w in _SLOT_MOVES)


def _not_the_master(
    error: redis.exceptions.RedisError, master: Master | SyncMaster | None
) -> NotTheMaster:
    code, text = error_code(error), str(error)
    if code in _ELSEWHERE and not text.startswith(code):
        text = f"{code} {text}"
    if master is None and code in ("MOVED", "ASK"):
        text += ": this is a node of a Redis Cluster, begin ASR_REDIS_URL with redis+cluster://"
    elif _slot_moves(error):
        text += ": the Cluster is moving the slot of the keys"
    return NotTheMaster(text)


def _moved_to(error: redis.exceptions.RedisError, queried: str) -> Node | None:
    """The owner that a MOVED names; a node that does not know its address leaves it empty."""
    return (error.host or queried, error.port) if isinstance(error, MovedError) else None


class _Following:
    """Before a class of redis-py's asyncio connections. The pool sets `pool` and `master`."""

    pool: FollowingPool
    master: Master | None = None
    era = 0
    idle_since = 0.0
    host: str
    port: int

    async def _connect(self) -> None:
        self.era = self.pool.era
        if self.master is None:
            return await super()._connect()  # type: ignore[misc,no-any-return]
        self.host, self.port = await self.master.find()
        try:
            await super()._connect()  # type: ignore[misc]
        except Exception:
            self.master.moved()
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except _KNOWN_BUSY as error:
            if not elsewhere(error):
                raise
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            queried = getattr(self, "host", "")
            await self.pool.leave(self.era, _moved_to(error, queried))
            raise _not_the_master(error, self.master) from error


class _SyncFollowing:
    """The same for the one connection of a thread."""

    master: SyncMaster | None = None
    host: str
    port: int

    def _connect(self) -> Any:
        if self.master is None:
            return super()._connect()  # type: ignore[misc]
        self.host, self.port = self.master.find()
        try:
            return super()._connect()  # type: ignore[misc]
        except Exception:
            self.master.moved()
            raise

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except _KNOWN_BUSY as error:
            if not elsewhere(error):
                raise
            self.disconnect()  # type: ignore[attr-defined]
            if self.master is not None:
                self.master.moved(_moved_to(error, self.host))
            raise _not_the_master(error, self.master) from error


@cache
def connection_class(*, unix: bool, tls: bool, sync: bool) -> type:
    """redis-py's class for a Unix socket, TLS or TCP, following the master."""
    module: Any = redis if sync else redis.asyncio
    if unix:
        base: Any = SyncUnixDomainSocketConnection if sync else UnixDomainSocketConnection
    else:
        base = module.SSLConnection if tls else module.Connection
    return type(f"Following{base.__name__}", (_SyncFollowing if sync else _Following, base), {})


class FollowingPool(redis.asyncio.BlockingConnectionPool):
    """Waits for a free connection when all are in use; closes those idle for 30 s.

    `on_leave` is called when the master has moved.
    """

    def __init__(
        self,
        *,
        master: Master | None,
        on_leave: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.era = 0
        self._master = master
        self._on_leave = on_leave

    def make_connection(self) -> Any:
        connection: Any = super().make_connection()  # type: ignore[no-untyped-call]
        connection.pool, connection.master = self, self._master
        return connection

    async def leave(self, era: int, to: Node | None = None) -> None:
        """Close connections of that era or before, at once or after their current command.

        Later ones stay: they have looked up the master since.
        """
        if era != self.era:
            return
        self.era += 1
        if self._master is not None:
            self._master.moved(to)
        self._on_leave()
        await self._close(len(self._available_connections))

    async def release(self, connection: Any) -> None:
        """As redis-py's. A connection that failed is not kept, as others may work."""
        if connection.era != self.era:
            await connection.disconnect(nowait=True)
        connection.idle_since = time.monotonic()
        await super().release(connection)
        free: list[Any] = self._available_connections
        if not connection.is_connected and connection in free:
            free.remove(connection)
        # LIFO: idle connections are at the front.
        since = connection.idle_since - IDLE_SECONDS
        await self._close(sum(each.idle_since < since for each in free))

    def cut(self) -> None:
        """Abort connections in use: their readers see a closed connection."""
        for connection in self._in_use_connections:
            if writer := getattr(connection, "_writer", None):
                writer.transport.abort()

    async def _close(self, count: int) -> None:
        gone, self._available_connections[:count] = self._available_connections[:count], []
        for connection in gone:
            await connection.disconnect(nowait=True)


class SyncFollowingPool(redis.ConnectionPool):
    """For a client with one connection."""

    def __init__(self, *, master: SyncMaster | None, **options: Any) -> None:
        self._master = master
        super().__init__(**options)

    def make_connection(self) -> Any:
        connection: Any = super().make_connection()
        connection.master = self._master
        return connection

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        if self._master is not None:
            self._master.close()

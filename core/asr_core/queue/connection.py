"""One program's connection to Redis: clients, scripts, and the mapping of Redis's errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from asr_core.errors import PermissionMissing, QueueUnavailable, SchemaMismatch
from asr_core.keys import Keys
from asr_core.queue import permissions
from asr_core.queue.following import (
    FollowingPool,
    NotTheMaster,
    SyncFollowingPool,
    connection_class,
    error_code,
)
from asr_core.queue.masters import master_of, sync_master_of
from asr_core.queue.scripts import script_names, script_text
from asr_core.settings.redis import RedisSettings
from asr_core.settings.redis_address import RedisAddress, redis_address

SCHEMA_VERSION = 1
_UNAVAILABLE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
_REFUSALS = frozenset(
    {"OOM", "MISCONF", "NOAUTH", "NOPERM", "WRONGPASS", "BUSY", "UNKILLABLE", "CROSSSLOT"}
)
_NO_SUCH_DATABASE = "DB index is out of range"
_WORDS = {
    "No connection available.": "all connections of this process are in use for longer than "
    "REDIS_TIMEOUT_SECONDS: raise REDIS_MAX_CONNECTIONS",
    "max number of clients reached": "it has no connection left: raise its maxclients, or lower "
    "REDIS_MAX_CONNECTIONS",
}


@contextmanager
def redis_errors() -> Iterator[None]:
    """Maps errors of an unhealthy or misconfigured Redis to `QueueUnavailable`.

    redis-py sends through `asyncio.wait_for`, which before Python 3.12 may swallow a cancellation
    and let the task continue. It is raised here instead, one call late.
    """
    before = _cancellations()
    try:
        yield
    except NotTheMaster as error:
        raise QueueUnavailable(f"Redis refuses: {error}") from error
    except _UNAVAILABLE as error:
        why = _WORDS.get(str(error), str(error))
        raise QueueUnavailable(f"Redis is not available: {why}") from error
    except redis.exceptions.ResponseError as error:
        if error_code(error) in _REFUSALS or permissions.is_denied(error):
            raise QueueUnavailable(f"Redis refuses: {error}") from error
        if str(error) == _NO_SUCH_DATABASE:
            why = "REDIS_DB, or the number that ends ASR_REDIS_URL"
            raise QueueUnavailable(f"Redis refuses: {error} ({why})") from error
        if error_code(error) == "DENIED":  # protected mode; Redis adds a page of advice
            message = str(error).partition(".")[0]
            raise QueueUnavailable(f"Redis refuses: {message}: set a password in Redis") from error
        if str(error).startswith("unknown command"):
            why = "a Sentinel? Then begin ASR_REDIS_URL with redis+sentinel://"
            raise QueueUnavailable(f"Redis refuses: {error} ({why})") from error
        raise
    finally:
        if _cancellations() > before:
            raise asyncio.CancelledError


def _cancellations() -> int:
    """Pending cancellation requests of the running task; 0 without a task."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return 0
    return task.cancelling() if task else 0


def client_options(settings: RedisSettings, address: RedisAddress) -> dict[str, Any]:
    """redis-py options common to all our clients."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": settings.timeout_seconds,
        "socket_connect_timeout": settings.timeout_seconds,
        "health_check_interval": 10,
        "username": address.username or None,
        "password": address.password or None,
        "db": address.db,
        "driver_info": None,  # no CLIENT SETINFO, of which ACL LOG tells where it is not allowed
    }
    if settings.ca_file:
        options["ssl_ca_certs"] = str(settings.ca_file)
    if settings.cert_file:
        options["ssl_certfile"] = str(settings.cert_file)
    if settings.key_file:
        options["ssl_keyfile"] = str(settings.key_file)
    named = {n: v for n, v in address.options.items() if n not in ("max_connections", "timeout")}
    # redis-py's connection by a Unix socket refuses the option.
    keepalive = {} if address.path else {"socket_keepalive": True}
    return {**options, **keepalive, **named}


def _lookup_options(address: RedisAddress, options: dict[str, Any]) -> dict[str, Any]:
    """Options of short-lived clients that query Sentinels or Cluster nodes, without retries."""
    return {**options, "health_check_interval": 0, "max_connections": 4, "ssl": address.tls}


def _place(address: RedisAddress) -> dict[str, Any]:
    """Of a single server; otherwise the connection finds it."""
    if address.path:
        return {"path": address.path}
    host, port = address.nodes[0]
    return {"host": host, "port": port}


class RedisConnection:
    """An asyncio client with this platform's scripts, of a server, of what Sentinels watch, or of a
    Cluster.

    `retries` is 0 where a lost reply matters (a worker's claims); the API's calls are idempotent on
    the task id and may be repeated.
    """

    def __init__(self, settings: RedisSettings, *, retries: int = 0) -> None:
        self.keys = Keys(settings.key_prefix)
        self._settings = settings
        address = redis_address(settings)
        options = client_options(settings, address)
        self._master = master_of(address, self.keys.schema, _lookup_options(address, options))
        shared = {
            **(_place(address) if self._master is None else {}),
            "connection_class": connection_class(
                unix=bool(address.path), tls=address.tls, sync=False
            ),
            "master": self._master,
            "max_connections": address.options.get("max_connections", settings.max_connections),
            "timeout": address.options.get("timeout", settings.timeout_seconds),
        }
        backoff = ExponentialBackoff(cap=0.5, base=0.05) if retries else NoBackoff()
        listeners = FollowingPool(
            **shared,
            retry=AsyncRetry(NoBackoff(), 0),
            # A health check would read beside the reader; listeners look after their connection.
            **{**options, "socket_timeout": None, "health_check_interval": 0},
        )
        pool = FollowingPool(
            **shared, retry=AsyncRetry(backoff, retries), on_leave=listeners.cut, **options
        )
        # Any: redis-py's own types are unions of bytes, str and awaitables, whatever is decoded.
        self.client: Any = redis.asyncio.Redis.from_pool(pool)
        self.pubsub_client = redis.asyncio.Redis.from_pool(listeners)
        self._scripts = {
            name: self.client.register_script(script_text(name, self.keys))
            for name in script_names()
        }

    async def call(self, script: str, **arguments: Any) -> Any:
        """Runs a script. Raises `QueueUnavailable` if Redis is unavailable or refuses writes, or
        its subclass `PermissionMissing`.
        """
        try:
            with redis_errors():
                return await self._scripts[script](
                    keys=[self.keys.schema], args=[json.dumps(arguments)]
                )
        except QueueUnavailable as error:
            if permissions.is_denied(error.__cause__):
                await self.require_permissions()  # Redis does not say which a script lacked
            raise

    async def require_permissions(self) -> None:
        """Raises `PermissionMissing`, with words that name every command, key and channel that this
        user lacks; `QueueUnavailable` while Redis is away.
        """
        try:
            with redis_errors():
                reply = await self._scripts["permissions"](
                    keys=[], args=[permissions.question(self._settings, self.keys)]
                )
        except QueueUnavailable as error:
            if permissions.is_denied(error.__cause__):
                message = permissions.refused(self._settings, error.__cause__ or error)
                raise PermissionMissing(message) from error
            raise
        if lacks := permissions.lacking(self._settings, self.keys, reply):
            raise PermissionMissing(lacks)

    async def info(self, *sections: str) -> dict[str, Any]:
        """These sections of INFO, from the server that holds the keys."""
        with redis_errors():
            reply: dict[str, Any] = await self.client.info(*sections)
        return reply

    async def ready(self) -> None:
        """Checks that Redis answers and holds data of this schema version or a neighbour.

        Raises:
            QueueUnavailable: Redis is unavailable.
            PermissionMissing: its user lacks a permission.
            SchemaMismatch: its data is two or more versions apart.
        """
        await self.require_permissions()
        with redis_errors():
            stored = await self.client.get(self.keys.schema)
        if stored is None or int(stored) < SCHEMA_VERSION:
            await self.prepare(())
        else:
            _require_neighbour(int(stored))

    async def takes_work(self) -> None:
        """As `ready`, and Redis accepts submissions: writable, not full, not a replica."""
        _require_neighbour(int(await self.call("takes_work") or SCHEMA_VERSION))

    async def prepare(self, pools: Sequence[str], *, publish: bool = False) -> None:
        """Create what is missing: the schema version and the consumer groups of these pools,
        reading from the first entry. `publish` records them as the platform's pools.

        Idempotent, and works on a full Redis. Raises as `ready` does.
        """
        await self.require_permissions()
        found = await self.call(
            "prepare", version=SCHEMA_VERSION, pools=list(pools), publish=publish
        )
        _require_neighbour(int(found))

    async def close(self) -> None:
        await self.client.aclose()
        await self.pubsub_client.aclose()
        if self._master is not None:
            await self._master.close()


def _require_neighbour(version: int) -> None:
    if abs(version - SCHEMA_VERSION) > 1:
        raise SchemaMismatch(
            f"Redis holds schema {version}, this program uses {SCHEMA_VERSION}: "
            "upgrade one version at a time"
        )


def sync_client(settings: RedisSettings) -> redis.Redis:
    """A blocking client without retries, for a thread of its own."""
    address = redis_address(settings)
    options = client_options(settings, address)
    asking = _lookup_options(address, options)
    master = sync_master_of(address, Keys(settings.key_prefix).schema, asking)
    pool = SyncFollowingPool(
        **(_place(address) if master is None else {}),
        connection_class=connection_class(unix=bool(address.path), tls=address.tls, sync=True),
        master=master,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
    return redis.Redis.from_pool(pool)

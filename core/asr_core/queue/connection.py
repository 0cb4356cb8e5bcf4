"""One program's connection to Redis: clients, scripts, and Redis's errors as ours."""

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

from asr_core.errors import QueueUnavailable, SchemaMismatch
from asr_core.keys import Keys
from asr_core.listening import url_host
from asr_core.queue.scripts import NAMES, script_text
from asr_core.settings import RedisSettings

SCHEMA_VERSION = 1
_CONNECTIONS = 64
_AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
_REFUSALS = (redis.exceptions.ReadOnlyError, redis.exceptions.OutOfMemoryError)
_REFUSAL_PREFIXES = (
    "OOM", "MISCONF", "LOADING", "READONLY", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN",
    "NOAUTH", "NOPERM", "WRONGPASS", "BUSY ", "UNKILLABLE",
)  # fmt: skip


@contextmanager
def redis_errors() -> Iterator[None]:
    """Raises `QueueUnavailable` for what a healthy Redis would not have said.

    redis-py sends through `asyncio.wait_for`, which before Python 3.12 may lose a cancellation: the
    task would go on as if nobody had asked it to end. It is raised here, one call late.
    """
    asked = _cancellations()
    try:
        yield
    except _AWAY as error:
        raise QueueUnavailable(f"Redis is not available: {error}") from error
    except redis.exceptions.ResponseError as error:
        if isinstance(error, _REFUSALS) or str(error).startswith(_REFUSAL_PREFIXES):
            raise QueueUnavailable(f"Redis refuses: {error}") from error
        raise
    finally:
        if _cancellations() > asked:
            raise asyncio.CancelledError


def _cancellations() -> int:
    """How often the running task has been asked to end; 0 where there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return 0
    return task.cancelling() if task else 0


def redis_url(settings: RedisSettings) -> str:
    """`ASR_REDIS_URL`, or one made of host, port and db; credentials are passed apart."""
    return settings.url or f"redis://{url_host(settings.host)}:{settings.port}/{settings.db}"


def client_options(settings: RedisSettings) -> dict[str, Any]:
    """Options for redis-py that hold for every client of ours."""
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": settings.timeout_seconds,
        "socket_connect_timeout": settings.timeout_seconds,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
    if settings.username:
        options["username"] = settings.username
    if settings.password:
        options["password"] = settings.password
    if settings.ca_file:
        options["ssl_ca_certs"] = str(settings.ca_file)
    if settings.cert_file:
        options["ssl_certfile"] = str(settings.cert_file)
    if settings.key_file:
        options["ssl_keyfile"] = str(settings.key_file)
    return options


class RedisConnection:
    """An asyncio client with this platform's scripts.

    `retries` is 0 where a lost reply matters (a worker's claims); the API's calls are idempotent on
    the task id and may be repeated.
    """

    def __init__(self, settings: RedisSettings, *, retries: int = 0) -> None:
        backoff = ExponentialBackoff(cap=0.5, base=0.05) if retries else NoBackoff()
        self.keys = Keys(settings.key_prefix)
        # Any: redis-py's own types are unions of bytes, str and awaitables, whatever is decoded.
        self.client: Any = redis.asyncio.Redis.from_pool(
            # Whoever finds all connections in use waits; the default pool refuses the 101st.
            redis.asyncio.BlockingConnectionPool.from_url(
                redis_url(settings),
                max_connections=_CONNECTIONS,
                timeout=settings.timeout_seconds,
                retry=AsyncRetry(backoff, retries),
                **client_options(settings),
            )
        )
        self.pubsub_client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
            redis_url(settings),
            retry=AsyncRetry(NoBackoff(), 0),
            # A health check would read beside the reader; listeners look after their connection.
            **{**client_options(settings), "socket_timeout": None, "health_check_interval": 0},
        )
        self._scripts = {
            name: self.client.register_script(script_text(name, self.keys)) for name in NAMES
        }

    async def call(self, script: str, **arguments: Any) -> Any:
        """Runs a script. Raises `QueueUnavailable` when Redis is away or refuses writes."""
        with redis_errors():
            return await self._scripts[script](
                keys=[self.keys.schema], args=[json.dumps(arguments)]
            )

    async def ready(self) -> None:
        """Checks that Redis answers and holds data of this schema version or a neighbour.

        Raises:
            QueueUnavailable: Redis is away.
            SchemaMismatch: its data is two or more versions apart.
        """
        with redis_errors():
            stored = await self.client.get(self.keys.schema)
        if stored is None or int(stored) < SCHEMA_VERSION:
            await self.prepare(())
        else:
            _require_neighbour(int(stored))

    async def takes_work(self) -> None:
        """As `ready`, and Redis would take a submission: it is not full, no replica, can write."""
        _require_neighbour(int(await self.call("takes_work") or SCHEMA_VERSION))

    async def prepare(self, pools: Sequence[str], *, publish: bool = False) -> None:
        """Makes what is missing: the schema's version and the consumer groups of these pools, read
        from the very first entry. `publish` records them as the pools of this platform.

        Safe to repeat, and not refused by a full Redis. Raises as `ready` does.
        """
        found = await self.call(
            "prepare", version=SCHEMA_VERSION, pools=list(pools), publish=publish
        )
        _require_neighbour(int(found))

    async def close(self) -> None:
        await self.client.aclose()
        await self.pubsub_client.aclose()


def _require_neighbour(version: int) -> None:
    if abs(version - SCHEMA_VERSION) > 1:
        raise SchemaMismatch(
            f"Redis holds schema {version}, this program speaks {SCHEMA_VERSION}: "
            "upgrade one version at a time"
        )


def sync_client(settings: RedisSettings) -> redis.Redis:
    """A blocking client without retries, for a thread of its own."""
    return redis.Redis.from_url(
        redis_url(settings), retry=Retry(NoBackoff(), 0), **client_options(settings)
    )

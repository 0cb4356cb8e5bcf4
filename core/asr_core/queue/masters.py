"""Who takes writes now: the master that Sentinels name, or the owner of the keys' slot in a
Cluster.

All keys are in one slot, so a Cluster is one master at a time, and a client that follows the slot
owner suffices; of redis-py this needs only a plain client. (`RedisCluster` of 8.1 sends ASKING and
the command on two connections of its pool, and fails on an unknown node.)
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from asr_core.settings.redis_address import Node, RedisAddress, Topology

_KNOWN_SECONDS = 1.0
_FAILURES = (redis.exceptions.RedisError, OSError)


class Master(Protocol):
    """Where to connect. `moved` invalidates the last answer and passes the new one if known.

    `find` raises redis-py's ConnectionError if it cannot be determined.
    """

    async def find(self) -> Node: ...
    def moved(self, to: Node | None = None) -> None: ...
    async def close(self) -> None: ...


class SyncMaster(Protocol):
    """The same for a thread of its own."""

    def find(self) -> Node: ...
    def moved(self, to: Node | None = None) -> None: ...
    def close(self) -> None: ...


class SentinelMaster:
    """Queries the Sentinels at each connect, as their documentation requires.

    https://redis.io/docs/latest/develop/reference/sentinel-clients/
    """

    def __init__(self, address: RedisAddress, options: dict[str, Any]) -> None:
        self._address = address
        self._sentinel: Any = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            address.nodes,
            sentinel_kwargs={**_sentinel_options(address, options), "retry": _once()},
        )

    async def find(self) -> Node:
        try:
            host, port = await self._sentinel.discover_master(self._address.master)
        except redis.asyncio.sentinel.MasterNotFoundError:
            raise _no_master(self._address, await self._problem()) from None
        return str(host), int(port)

    async def _problem(self) -> str:
        """Why the first Sentinel is unreachable, which redis-py does not pass on; empty if it
        answers.
        """
        try:
            await self._sentinel.sentinels[0].ping()
        except _FAILURES as error:
            return str(error)
        return ""

    def moved(self, to: Node | None = None) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        await self._sentinel.aclose()


class SyncSentinelMaster:
    """As `SentinelMaster`."""

    def __init__(self, address: RedisAddress, options: dict[str, Any]) -> None:
        self._address = address
        self._sentinel: Any = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            address.nodes,
            sentinel_kwargs={**_sentinel_options(address, options), "retry": _sync_once()},
        )

    def find(self) -> Node:
        try:
            host, port = self._sentinel.discover_master(self._address.master)
        except redis.sentinel.MasterNotFoundError:
            raise _no_master(self._address, self._problem()) from None
        return str(host), int(port)

    def _problem(self) -> str:
        try:
            self._sentinel.sentinels[0].ping()
        except _FAILURES as error:
            return str(error)
        return ""

    def moved(self, to: Node | None = None) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        self._sentinel.close()


class _Slot:
    """Known state of a Cluster: its nodes, seeds included, and the owner of one slot."""

    def __init__(self, address: RedisAddress, key: str, options: dict[str, Any]) -> None:
        self._address = address
        self._options = options
        self._slot = key_slot(key.encode())
        self._owner: Node | None = None
        self._learned_at = 0.0
        self._nodes: list[Node] = []

    def moved(self, to: Node | None = None) -> None:
        self._owner, self._learned_at = to, time.monotonic()

    def _known(self) -> Node | None:
        """Cached briefly, as connections are made in bursts and a hung owner does not redirect."""
        return self._owner if time.monotonic() - self._learned_at < _KNOWN_SECONDS else None

    def _to_ask(self) -> Iterator[Node]:
        """Seeds last: their names stay valid when all addresses have changed."""
        yield from dict.fromkeys((*self._nodes, *self._address.nodes))

    def _learn(self, queried: Node, ranges: Sequence[Any]) -> Node | None:
        """From a reply to CLUSTER SLOTS. The queried node moves to the end of the list."""
        owner, nodes = None, []
        for first, last, *servers in ranges:
            # A node that does not know its own address leaves it empty.
            found = [(server[0] or queried[0], int(server[1])) for server in servers]
            nodes += found
            if int(first) <= self._slot <= int(last) and found:
                owner = found[0]
        self._nodes = [node for node in dict.fromkeys(nodes) if node != queried] + [queried]
        self.moved(owner)
        return owner

    def _no_owner(self, problems: list[str]) -> redis.exceptions.ConnectionError:
        return redis.exceptions.ConnectionError(
            f"no node of the Redis Cluster names the owner of slot {self._slot}, where the keys "
            f"lie: {'; '.join(problems)}"
        )


class SlotOwner(_Slot):
    """Queries one node after another with CLUSTER SLOTS."""

    _lookup_lock = functools.cached_property(lambda _: asyncio.Lock())

    async def find(self) -> Node:
        async with self._lookup_lock:
            return self._known() or await self._look_up()

    async def _look_up(self) -> Node:
        problems = []
        for host, port in self._to_ask():
            client: Any = redis.asyncio.Redis(host=host, port=port, retry=_once(), **self._options)
            try:
                ranges = await client.execute_command("CLUSTER", "SLOTS")
                if owner := self._learn((host, port), ranges):
                    return owner
                problems.append(f"{host}:{port} says that nobody serves it")
            except _FAILURES as error:
                problems.append(f"{host}:{port}: {error}")
            finally:
                await client.aclose()
        raise self._no_owner(problems)

    async def close(self) -> None:
        """No connection is kept."""


class SyncSlotOwner(_Slot):
    """As `SlotOwner`."""

    def find(self) -> Node:
        if owner := self._known():
            return owner
        problems = []
        for host, port in self._to_ask():
            client: Any = redis.Redis(host=host, port=port, retry=_sync_once(), **self._options)
            try:
                ranges = client.execute_command("CLUSTER", "SLOTS")
                if owner := self._learn((host, port), ranges):
                    return owner
                problems.append(f"{host}:{port} says that nobody serves it")
            except _FAILURES as error:
                problems.append(f"{host}:{port}: {error}")
            finally:
                client.close()
        raise self._no_owner(problems)

    def close(self) -> None:
        """No connection is kept."""


def master_of(address: RedisAddress, key: str, options: dict[str, Any]) -> Master | None:
    """None for a single server: its name is resolved at each connect."""
    if address.topology is Topology.SENTINEL:
        return SentinelMaster(address, options)
    return SlotOwner(address, key, options) if address.topology is Topology.CLUSTER else None


def sync_master_of(address: RedisAddress, key: str, options: dict[str, Any]) -> SyncMaster | None:
    """As `master_of`."""
    if address.topology is Topology.SENTINEL:
        return SyncSentinelMaster(address, options)
    return SyncSlotOwner(address, key, options) if address.topology is Topology.CLUSTER else None


def _once() -> AsyncRetry:
    return AsyncRetry(NoBackoff(), 0)


def _sync_once() -> Retry:
    return Retry(NoBackoff(), 0)


def _sentinel_options(address: RedisAddress, options: dict[str, Any]) -> dict[str, Any]:
    """Sentinels have users of their own, and no databases."""
    own = {name: v for name, v in options.items() if name not in ("username", "password", "db")}
    if address.sentinel_username:
        own["username"] = address.sentinel_username
    if address.sentinel_password:
        own["password"] = address.sentinel_password
    return own


def _no_master(address: RedisAddress, problem: str) -> redis.exceptions.ConnectionError:
    return redis.exceptions.ConnectionError(
        f"the Sentinels {address.places()} name no master {address.master!r} that is up"
        + (f": {problem}" if problem else "")
    )

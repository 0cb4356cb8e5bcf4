"""Tenants in Redis: limits and weights, request rates, usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from asr_core.access import TenantLimits, Usage
from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.settings.queue import TenantSettings

_EPOCH = date(1970, 1, 1)
_NUMBERS = {"weight": float, "rate_per_minute": int, "open_tasks": int, "stored_bytes": int}


NO_LIMITS: Mapping[str, int] = {"open_tasks": 0, "stored_bytes": 0}


@dataclass(frozen=True)
class RateLimit:
    """Rate-limit state of a tenant after one request; `limit` 0: unlimited."""

    taken: bool
    limit: int
    remaining: int
    full_after_seconds: float
    next_after_seconds: float


@dataclass(frozen=True)
class TenantUsage:
    """A tenant's own limits and its current usage."""

    tenant: str
    limits: TenantLimits
    open_tasks: int
    stored_bytes: int


def default_limits(settings: TenantSettings) -> Mapping[str, int]:
    """The platform's limits, as the scripts take them."""
    return {
        "open_tasks": settings.tenant_open_tasks,
        "stored_bytes": settings.tenant_stored_bytes,
    }


class Tenants:
    """Every method raises `QueueUnavailable` while Redis is unavailable."""

    def __init__(self, connection: RedisConnection, settings: TenantSettings) -> None:
        self._redis = connection
        self._keys = connection.keys
        self._settings = settings

    async def limits(self) -> dict[str, TenantLimits]:
        """The tenants that have limits of their own."""
        with redis_errors():
            flat = await self._redis.client.hgetall(self._keys.tenant_limits)
        found: dict[str, dict[str, float]] = {}
        for field, value in flat.items():
            tenant, _, name = field.partition(":")
            if name in _NUMBERS:
                found.setdefault(tenant, {})[name] = _NUMBERS[name](value)
        return {tenant: TenantLimits(**values) for tenant, values in found.items()}  # type: ignore[arg-type]

    async def set_limits(self, tenant: str, limits: TenantLimits) -> None:
        """Set the given limits; None leaves one unchanged."""
        given = {f"{tenant}:{k}": v for k, v in asdict(limits).items() if v is not None}
        if given:
            with redis_errors():
                await self._redis.client.hset(self._keys.tenant_limits, mapping=given)

    async def clear_limits(self, tenant: str) -> None:
        """Remove a tenant's own limits, so that the defaults apply."""
        with redis_errors():
            await self._redis.client.hdel(
                self._keys.tenant_limits, *(f"{tenant}:{name}" for name in _NUMBERS)
            )

    async def take_request(self, tenant: str) -> RateLimit:
        """Take one token of the tenant's bucket, shared by all pods."""
        taken, limit, left, full_ms, next_ms = await self._redis.call(
            "take_token", tenant=tenant, default=self._settings.tenant_rate_per_minute
        )
        return RateLimit(bool(taken), limit, left, full_ms / 1000, next_ms / 1000)

    async def names(self) -> list[str]:
        """The tenants that have tasks, by name."""
        with redis_errors():
            return sorted(await self._redis.client.smembers(self._keys.tenants))

    async def tenant_usage(self) -> list[TenantUsage]:
        """Every tenant that has tasks or limits of its own, by name."""
        limits = await self.limits()
        with redis_errors():
            stored = await self._redis.client.hgetall(self._keys.tenant_stored)
            known = await self._redis.client.smembers(self._keys.tenants)
        names = sorted({*known, *limits})
        with redis_errors():
            async with self._redis.client.pipeline(transaction=False) as pipe:
                for name in names:
                    for state in ("queued", "processing", "fetching"):
                        pipe.zcard(self._keys.history(name, state))
                counts = await pipe.execute()
        return [
            TenantUsage(
                tenant=name,
                limits=limits.get(name, TenantLimits()),
                open_tasks=sum(counts[3 * i : 3 * i + 3]),
                stored_bytes=int(stored.get(name, 0)),
            )
            for i, name in enumerate(names)
        ]

    async def usage(self, first: date, last: date, tenant: str | None = None) -> list[Usage]:
        """Completed work of one tenant or of all, by day (UTC) and name; days without are left
        out.
        """
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        if not days:
            return []
        with redis_errors():
            async with self._redis.client.pipeline(transaction=False) as pipe:
                for day in days:
                    key = self._keys.usage((day - _EPOCH).days)
                    if tenant is None:
                        pipe.hgetall(key)
                    else:
                        pipe.hmget(key, _fields(tenant))
                replies = await pipe.execute()
        if tenant is not None:
            replies = [dict(zip(_fields(tenant), values, strict=True)) for values in replies]
        return [u for day, fields in zip(days, replies, strict=True) for u in _usage(day, fields)]


def _fields(tenant: str) -> list[str]:
    return [f"{tenant}:audio_ms", f"{tenant}:speech_ms", f"{tenant}:tasks"]


def _usage(day: date, fields: dict[str, str | None]) -> list[Usage]:
    names = sorted(name for name, value in fields.items() if value and name.endswith(":tasks"))
    return [
        Usage(
            day=day,
            tenant=tenant,
            tasks=int(fields[name] or 0),
            audio_seconds=int(fields.get(f"{tenant}:audio_ms") or 0) / 1000,
            speech_seconds=int(fields.get(f"{tenant}:speech_ms") or 0) / 1000,
        )
        for name in names
        for tenant in [name.removesuffix(":tasks")]
    ]


def today() -> date:
    """In UTC, as usage is kept."""
    return datetime.now(UTC).date()

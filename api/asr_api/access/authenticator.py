"""Authenticates every request: API key, scope, then the tenant's request rate."""

from __future__ import annotations

import asyncio
import hmac
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from structlog.contextvars import bind_contextvars

from asr_api.access.ended_keys import CHECK_SECONDS
from asr_api.access.key_cache import FRESH_SECONDS, KeyCache
from asr_api.access.rules import OPERATORS_SEE_MORE, scope_for
from asr_api.settings.api import ApiSettings
from asr_core.access import ApiKey, Scope, key_digest
from asr_core.access.api_key import is_secret
from asr_core.errors import DependencyError, Forbidden, RateLimited, Unauthenticated
from asr_core.queue import ApiKeyStore, RateLimit, Tenants
from asr_core.task import DEFAULT_TENANT

TOUCH_SECONDS = 60.0
_HOW = "send `Authorization: Bearer asr_…`; `asr keys create` makes a key"


@dataclass(frozen=True)
class Principal:
    """The authenticated caller; `admin` may see every tenant."""

    tenant: str
    admin: bool


_ANYONE = Principal(DEFAULT_TENANT, admin=True)  # with `auth=off`, every caller
_ANONYMOUS = Principal(DEFAULT_TENANT, admin=False)  # public route, no usable key


class Authenticator:
    """One per app. Caches keys; see `KeyCache`."""

    def __init__(self, settings: ApiSettings, keys: ApiKeyStore, tenants: Tenants) -> None:
        self._settings = settings
        self._keys = keys
        self._tenants = tenants
        self._cache = KeyCache(self._find)
        self._bootstrap = _bootstrap_digest(settings.bootstrap_key)
        self._rated: frozenset[str] = frozenset()
        self._rated_until = 0.0

    async def authenticate(self, request: Request) -> Principal:
        """The caller of this request.

        Raises Unauthenticated, Forbidden, RateLimited; QueueUnavailable when the key is not cached
        and Redis is unavailable.
        """
        scope = scope_for(request.method, request.scope["route"].path)
        if scope is None:
            return await self._public_principal(request)
        principal = _ANYONE
        if self._settings.auth == "keys":
            secret = _secret_of(request)
            key = await self._good_key(secret, scope)
            bind_contextvars(key_id=key.id, tenant=key.tenant)
            request.scope["asr.open_request"].check_key = partial(
                self._good_key, secret, scope, fresh_seconds=CHECK_SECONDS
            )
            principal = Principal(key.tenant, key.allows(Scope.ADMIN))
        await self._count_request(request, principal.tenant)
        return principal

    async def _public_principal(self, request: Request) -> Principal:
        """The caller of a public route. A key is checked only where admins see more; an invalid
        key, or one that Redis cannot verify in time, counts as none.
        """
        if self._settings.auth != "keys":
            return _ANYONE
        if request.scope["route"].path not in OPERATORS_SEE_MORE:
            return _ANONYMOUS
        try:
            key = await self._key_in_time(_secret_of(request))
        except (Unauthenticated, DependencyError):
            key = None
        return Principal(key.tenant, key.allows(Scope.ADMIN)) if key else _ANONYMOUS

    async def _key_in_time(self, secret: str) -> ApiKey | None:
        """None if Redis hangs. The lookup itself is not cancelled, as in `Check`."""
        lookup = asyncio.create_task(self._key_of(secret, FRESH_SECONDS))
        lookup.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait({lookup}, timeout=self._settings.health_timeout_seconds)
        return lookup.result() if done else None

    async def _good_key(
        self, secret: str, scope: Scope, *, fresh_seconds: float = FRESH_SECONDS
    ) -> ApiKey:
        key = await self._key_of(secret, fresh_seconds)
        if not key.allows(scope):
            raise Forbidden(
                f"this key lacks the scope {scope.value!r}; it has: {', '.join(sorted(key.scopes))}"
            )
        return key

    async def _key_of(self, secret: str, fresh_seconds: float) -> ApiKey:
        digest = key_digest(secret)
        if self._bootstrap and hmac.compare_digest(digest, self._bootstrap):
            return ApiKey("bootstrap", "bootstrap", DEFAULT_TENANT, frozenset({Scope.ADMIN}), 0.0)
        key = await self._cache.get(digest, fresh_seconds) if is_secret(secret) else None
        if key is None:
            raise Unauthenticated(f"this API key is unknown or was revoked: {_HOW}")
        if key.expired(time.time()):
            raise Unauthenticated(f"API key {key.id} has expired: `asr keys rotate` replaces it")
        return key

    async def _find(self, digest: str) -> ApiKey | None:
        """Cache miss: read the key from Redis, about once in ten seconds per key."""
        key = await self._keys.find(digest)
        if key and time.time() - (key.last_used_at or 0) > TOUCH_SECONDS:
            with suppress(DependencyError):
                await self._keys.touch(digest)
        return key

    async def _count_request(self, request: Request, tenant: str) -> None:
        """Fails open: while Redis is unavailable no request is rate-limited."""
        try:
            if not await self._is_rated(tenant):
                return
            rate = await self._tenants.take_request(tenant)
        except DependencyError:
            return
        if not rate.limit:
            return
        request.scope["asr.headers"].update(rate_headers(rate))
        if not rate.taken:
            raise RateLimited(
                f"more than {rate.limit} requests a minute; slow down",
                retry_after_seconds=max(1, round(rate.next_after_seconds + 0.5)),
            )

    async def _is_rated(self, tenant: str) -> bool:
        if self._settings.tenant_rate_per_minute:
            return True
        if time.monotonic() >= self._rated_until:
            self._rated_until = time.monotonic() + FRESH_SECONDS
            limits = await self._tenants.limits()
            self._rated = frozenset(name for name, own in limits.items() if own.rate_per_minute)
        return tenant in self._rated


def rate_headers(rate: RateLimit) -> dict[str, str]:
    """Rate-limit headers in OpenAI's format."""
    return {
        "x-ratelimit-limit-requests": str(rate.limit),
        "x-ratelimit-remaining-requests": str(rate.remaining),
        "x-ratelimit-reset-requests": f"{rate.full_after_seconds:g}s",
    }


def _secret_of(request: Request) -> str:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    if kind.lower() != "bearer" or not secret:
        raise Unauthenticated(f"this request needs an API key: {_HOW}")
    return secret


def _bootstrap_digest(setting: str) -> str:
    if setting.startswith("sha256:"):
        return setting.removeprefix("sha256:")
    return key_digest(setting) if setting else ""

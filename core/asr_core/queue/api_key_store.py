"""API keys in Redis: records by SHA-256 of the key, and an index by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import uuid_utils

from asr_core.access import ApiKey, Scope, key_digest, new_secret
from asr_core.errors import KeyNotFound
from asr_core.queue.connection import RedisConnection, redis_errors
from asr_core.queue.record import pairs
from asr_core.text_limits import LABEL, shortened


class ApiKeyStore:
    """Every method raises `QueueUnavailable` while Redis is unavailable."""

    def __init__(self, connection: RedisConnection) -> None:
        self._redis = connection
        self._keys = connection.keys

    async def find(self, digest: str) -> ApiKey | None:
        """The key with this digest, expired or not."""
        with redis_errors():
            fields = await self._redis.client.hgetall(self._keys.api_key(digest))
        return _from_hash(fields) if fields else None

    async def touch(self, digest: str) -> None:
        """Record that a key was just used."""
        await self._redis.call("touch_key", digest=digest)

    async def create(
        self, name: str, *, tenant: str, scopes: Iterable[Scope], lasts_seconds: float = 0
    ) -> tuple[str, ApiKey]:
        """A new secret, which is not stored, and its record; 0 seconds: it does not expire.

        Raises InvalidOption for a name that is too long.
        """
        record = {
            "id": str(uuid_utils.uuid7()),
            "name": LABEL.check("name", name),
            "tenant": tenant,
            "scopes": ",".join(sorted(scopes)),
        }
        return await self._save(record, lasts_seconds=lasts_seconds)

    async def rotate(
        self, key_id: str, *, grace_seconds: float, lasts_seconds: float = 0
    ) -> tuple[str, ApiKey]:
        """A new key that replaces another; the old one stays valid for `grace_seconds`.

        Raises KeyNotFound.
        """
        return await self._save(
            {"id": str(uuid_utils.uuid7())},
            replaces=key_id,
            grace_seconds=grace_seconds,
            lasts_seconds=lasts_seconds,
        )

    async def revoke(self, key_id: str) -> None:
        """API pods refuse it within ten seconds. Raises KeyNotFound."""
        if not await self._redis.call("revoke_key", id=key_id):
            raise _not_found(key_id)

    async def list(self) -> list[ApiKey]:
        """All keys, oldest first, including those that ended within the last thirty days."""
        with redis_errors():
            index: dict[str, str] = await self._redis.client.hgetall(self._keys.api_keys)
            async with self._redis.client.pipeline(transaction=False) as pipe:
                for digest in index.values():
                    pipe.hgetall(self._keys.api_key(digest))
                records = await pipe.execute()
            gone = [each for each, fields in zip(index, records, strict=True) if not fields]
            if gone:
                await self._redis.client.hdel(self._keys.api_keys, *gone)
        return sorted((_from_hash(f) for f in records if f), key=lambda key: key.id)

    async def _save(
        self,
        record: Mapping[str, str],
        *,
        replaces: str = "",
        grace_seconds: float = 0,
        lasts_seconds: float = 0,
    ) -> tuple[str, ApiKey]:
        secret = new_secret()
        flat = await self._redis.call(
            "save_key",
            key=record,
            digest=key_digest(secret),
            replaces=replaces,
            grace_ms=round(grace_seconds * 1000),
            lasts_ms=round(lasts_seconds * 1000),
        )
        if not flat:
            raise _not_found(replaces)
        return secret, _from_hash(pairs(flat))


def _not_found(key_id: str) -> KeyNotFound:
    return KeyNotFound(f"there is no key {shortened(key_id)}; `asr keys list` shows them")


def _from_hash(fields: Mapping[str, str]) -> ApiKey:
    known = {scope.value for scope in Scope}
    return ApiKey(
        id=fields["id"],
        name=fields["name"],
        tenant=fields["tenant"],
        # Ignore scopes of newer releases: this one cannot grant them.
        scopes=frozenset(Scope(s) for s in fields["scopes"].split(",") if s in known),
        created_at=int(fields["created_at"]) / 1000,
        expires_at=_seconds(fields, "expires_at"),
        last_used_at=_seconds(fields, "last_used_at"),
    )


def _seconds(fields: Mapping[str, str], name: str) -> float | None:
    return int(fields[name]) / 1000 if fields.get(name) else None

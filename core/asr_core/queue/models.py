"""Models served by a pool's workers, and their features.

Heartbeats update them and they do not expire: a pool scaled to zero still has its model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from asr_core.queue.connection import RedisConnection, redis_errors

_LATEST_MS = 30_000


@dataclass(frozen=True)
class ServedModel:
    """`features`: supported options and result fields; `languages`: supported codes, empty if
    unknown.
    """

    model_id: str
    features: frozenset[str]
    languages: frozenset[str]

    def text(self) -> str:
        """Canonical JSON, as stored in Redis: equal for equal models."""
        fields = {
            "model": self.model_id,
            "features": sorted(self.features),
            "languages": sorted(self.languages),
        }
        return json.dumps(fields, sort_keys=True)


async def list_models(connection: RedisConnection, pool: str) -> list[ServedModel]:
    """Models at the pool's last heartbeats; several during a rollout."""
    with redis_errors():
        rows = await connection.client.zrange(
            connection.keys.models(pool), 0, -1, desc=True, withscores=True
        )
    return [_read(text) for text, reported_at in rows if reported_at >= rows[0][1] - _LATEST_MS]


def _read(text: str) -> ServedModel:
    values = json.loads(text)
    return ServedModel(
        values["model"], frozenset(values["features"]), frozenset(values["languages"])
    )

"""Which models the workers of a pool serve, and what these can do.

Each heartbeat tells it, and the last word stays: a pool that is scaled to zero still has its model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from asr_core.queue.connection import RedisConnection, redis_errors

_LATEST_MS = 30_000


@dataclass(frozen=True)
class ServedModel:
    """`features` are the options that it heeds and the fields it fills; `languages` the codes that
    may be asked for, empty where they are not known.
    """

    model_id: str
    features: frozenset[str]
    languages: frozenset[str]

    def text(self) -> str:
        """As it stands in Redis: equal for equal models."""
        told = {
            "model": self.model_id,
            "features": sorted(self.features),
            "languages": sorted(self.languages),
        }
        return json.dumps(told, sort_keys=True)


async def list_models(connection: RedisConnection, pool: str) -> list[ServedModel]:
    """What was served when workers of the pool were last heard of; several during a change."""
    with redis_errors():
        told = await connection.client.zrange(
            connection.keys.models(pool), 0, -1, desc=True, withscores=True
        )
    return [_read(text) for text, told_at in told if told_at >= told[0][1] - _LATEST_MS]


def _read(text: str) -> ServedModel:
    values = json.loads(text)
    return ServedModel(
        values["model"], frozenset(values["features"]), frozenset(values["languages"])
    )

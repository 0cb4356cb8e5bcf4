"""`WorkerPool.spec` as frozen data, with its defaults. Pure: what the plan reads, and nothing else.

Names in the resource are camelCase, here snake_case; `PoolSpec.parse` takes the resource's dict.
The API server checks the same bounds through the CRD; `asr simulate` and older resources come
without it. Unknown fields are ignored: a newer CRD must not stop an older operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from asr_core.errors import InvalidOption
from asr_core.task import DEFAULT_POOL

MOST_REPLICAS = 10_000
Replicas = Annotated[int, Field(ge=0, le=MOST_REPLICAS)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class TargetRef(_Model):
    """The Deployment whose `spec.replicas` this pool owns, in the pool's namespace."""

    name: str = Field(min_length=1, max_length=253)


class SecretKey(_Model):
    """One key of a Secret in the pool's namespace."""

    name: str = Field(min_length=1, max_length=253)
    key: str = Field(min_length=1, max_length=253)


class RedisRef(_Model):
    """Where the pool's queue is. Without `url_secret_ref` the operator's own settings count."""

    url_secret_ref: SecretKey | None = None
    ca_secret_ref: SecretKey | None = None
    key_prefix: str = Field("", pattern=r"^[A-Za-z0-9_.-]*$")


class Stabilization(_Model):
    """For how long a change must have been wanted, in seconds.

    `down` unset is half as long as a worker takes to start, within 10 and 300 s: to keep an idle
    worker for longer costs more than to start it again (docs/autoscaling.md).
    """

    up: Seconds = 0.0
    down: Seconds | None = None


class Steps(_Model):
    """The most replicas that one tick adds or takes."""

    up: int = Field(4, ge=1, le=MOST_REPLICAS)
    down: int = Field(2, ge=1, le=MOST_REPLICAS)


class Fallback(_Model):
    """The replicas to keep once there has been no signal for `after_seconds`, even from zero."""

    after_seconds: Seconds = 300.0
    replicas: Replicas


class PausedAt(_Model):
    """Pause, and hold this number of replicas meanwhile."""

    replicas: Replicas


class Scaling(_Model):
    """How many replicas, and how fast they may change."""

    min_replicas: Replicas = 0
    max_replicas: int = Field(8, ge=1, le=MOST_REPLICAS)
    target_wait_seconds: float = Field(60.0, ge=1, le=86_400, allow_inf_nan=False)
    stabilization_seconds: Stabilization = Stabilization()
    max_step: Steps = Steps()
    unschedulable_timeout_seconds: Seconds = 600.0
    fallback: Fallback | None = None
    paused: bool | PausedAt = False
    dry_run: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas ({self.min_replicas}) is above maxReplicas ({self.max_replicas})"
            )
        if self.fallback is not None and self.fallback.replicas > self.max_replicas:
            raise ValueError(
                f"fallback.replicas ({self.fallback.replicas}) is above "
                f"maxReplicas ({self.max_replicas})"
            )
        return self


class PoolSpec(_Model):
    """The whole spec.

    `throughput` is in audio-seconds per second and worker (pod). It stands in until workers have
    measured it; without it the first worker goes ahead alone and measures.
    `slots_per_worker` is how many tasks one pod may hold, instead of what heartbeats say.
    """

    scale_target_ref: TargetRef
    pool: str = Field(DEFAULT_POOL, min_length=1, max_length=63)
    redis: RedisRef = RedisRef()
    poll_interval_seconds: float = Field(2.0, ge=1, le=300, allow_inf_nan=False)
    scaling: Scaling = Scaling()
    slots_per_worker: int | None = Field(None, ge=1)
    throughput: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False)
    on_delete: Literal["keep", "restore"] = "keep"

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> PoolSpec:
        """From the resource's `spec`. Raises `InvalidOption`; its `param` is the field's path."""
        try:
            return cls.model_validate(spec)
        except ValidationError as error:
            problem = error.errors()[0]
            path = ".".join(["spec", *(str(part) for part in problem["loc"])])
            reason = problem["msg"].removeprefix("Value error, ")
            raise InvalidOption(f"{path}: {reason}", param=path) from None

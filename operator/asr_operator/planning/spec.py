"""`WorkerPool.spec` as frozen data, with its defaults. Pure.

Names in the resource are camelCase, here snake_case; `PoolSpec.parse` takes the resource's dict.
The API server checks the same bounds through the CRD; specs of `asr simulate` and older resources
were not checked by it. Unknown fields are ignored: a newer CRD must not stop an older operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from asr_core.errors import InvalidOption
from asr_core.task import DEFAULT_POOL, POOL_PATTERN

MOST_REPLICAS = 10_000
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
SECRET_KEY = r"^[-._a-zA-Z0-9]+$"
Name = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
Replicas = Annotated[int, Field(ge=0, le=MOST_REPLICAS)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class TargetRef(_Model):
    """The Deployment whose `spec.replicas` this pool owns, in the pool's namespace."""

    name: Name


class SecretKey(_Model):
    """One key of a Secret in the pool's namespace."""

    name: Name
    key: str = Field(min_length=1, max_length=253, pattern=SECRET_KEY)


class RedisRef(_Model):
    """The pool's Redis. Without `url_secret_ref` it is the one of the operator's own settings."""

    url_secret_ref: SecretKey | None = None
    ca_secret_ref: SecretKey | None = None
    key_prefix: str = Field("", max_length=63, pattern=r"^[A-Za-z0-9_.-]*$")


class Stabilization(_Model):
    """Stabilization windows, in seconds.

    Default of `down`: half the start-up time, times the square of start-up over target where that
    ratio is below 1, within 5 and 300 s. Keeping an idle worker longer costs more than starting it
    again (docs/autoscaling.md).
    """

    up: Seconds = 0.0
    down: Seconds | None = None


class Steps(_Model):
    """The most replicas that one tick adds or removes."""

    up: int = Field(4, ge=1, le=MOST_REPLICAS)
    down: int = Field(2, ge=1, le=MOST_REPLICAS)


class Fallback(_Model):
    """Minimum of replicas once the queue was unreachable for `after_seconds`, even from zero."""

    after_seconds: Seconds = 300.0
    replicas: Replicas


class PausedAt(_Model):
    """Pause at this number of replicas."""

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

    @property
    def replicas_at_start(self) -> int:
        """For a Deployment that has never run: nothing is known about its work yet."""
        if isinstance(self.paused, PausedAt):
            return self.paused.replicas
        return self.min_replicas

    @model_validator(mode="before")
    @classmethod
    def _paused_at(cls, scaling: Any) -> Any:
        """Structural schemas do not allow a field to be a boolean or an object, so `paused: true`
        with `pausedReplicas: 3` in the resource becomes `paused: {replicas: 3}` here."""
        if isinstance(scaling, Mapping) and scaling.get("paused") is True:
            replicas = scaling.get("pausedReplicas")
            return scaling if replicas is None else {**scaling, "paused": {"replicas": replicas}}
        return scaling

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        """The CEL rules of the CRD, with the same messages."""
        paused = self.paused
        for name, replicas in (
            ("minReplicas", self.min_replicas),
            ("fallback.replicas", self.fallback.replicas if self.fallback else 0),
            ("pausedReplicas", paused.replicas if isinstance(paused, PausedAt) else 0),
        ):
            if replicas > self.max_replicas:
                raise ValueError(
                    f"spec.scaling.{name} must not be above spec.scaling.maxReplicas: "
                    f"{replicas} > {self.max_replicas}"
                )
        return self


class PoolSpec(_Model):
    """The whole spec.

    `throughput`, in audio-seconds per second and worker (pod), is used until the pods of a template
    have measured theirs; default: a low figure by model and device (`prior`). `slots_per_worker` is
    the number of tasks that one pod may have in flight; default: as heartbeats report it.
    """

    scale_target_ref: TargetRef
    pool: str = Field(DEFAULT_POOL, min_length=1, max_length=63, pattern=POOL_PATTERN)
    redis: RedisRef = RedisRef()
    poll_interval_seconds: float = Field(2.0, ge=1, le=300, allow_inf_nan=False)
    scaling: Scaling = Scaling()
    slots_per_worker: int | None = Field(None, ge=1, le=100_000)
    throughput: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False)
    on_delete: Literal["keep", "restore"] = "keep"

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> PoolSpec:
        """From the resource's `spec`. Raises `InvalidOption`; its `param` is the field's path."""
        try:
            parsed = cls.model_validate(spec)
        except ValidationError as error:
            problem = error.errors()[0]
            path = ".".join(["spec", *(str(part) for part in problem["loc"])])
            if problem["type"] == "value_error":  # from `_ordered`, which names the fields
                raise InvalidOption(str(problem["ctx"]["error"]), param=path) from None
            raise InvalidOption(f"{path}: {problem['msg']}", param=path) from None
        for each in ignored_fields(spec):
            raise InvalidOption(each.message, param=f"spec.{each.part}.{each.field}")
        return parsed


@dataclass(frozen=True)
class IgnoredField:
    """`spec.{part}.{field}` has no effect without another field; `message` names that field."""

    part: str
    field: str
    reason: str
    message: str


def ignored_fields(spec: Mapping[str, Any]) -> list[IgnoredField]:
    """Fields of the resource that have no effect as it stands."""
    scaling, redis = spec.get("scaling") or {}, spec.get("redis") or {}
    found = []
    if scaling.get("pausedReplicas") is not None and not scaling.get("paused"):
        message = "spec.scaling.pausedReplicas needs spec.scaling.paused: true"
        found.append(IgnoredField("scaling", "pausedReplicas", "NeedsPaused", message))
    for field in ("caSecretRef", "keyPrefix"):
        if redis.get(field) and not redis.get("urlSecretRef"):
            message = f"spec.redis.{field} needs spec.redis.urlSecretRef"
            found.append(IgnoredField("redis", field, "NeedsUrlSecretRef", message))
    return found

"""The spec as it is read from the resource."""

from __future__ import annotations

from typing import Any

import pytest

from asr_core.errors import InvalidOption
from asr_operator.planning.spec import PausedAt, PoolSpec


def test_little_is_needed_and_the_rest_has_defaults() -> None:
    spec = PoolSpec.parse({"scaleTargetRef": {"name": "asr-worker"}})
    scaling = spec.scaling
    assert (spec.pool, spec.poll_interval_seconds, spec.on_delete) == ("default", 2.0, "keep")
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_wait_seconds) == (0, 8, 60.0)
    assert (scaling.max_step.up, scaling.max_step.down) == (4, 2)
    assert (scaling.stabilization_seconds.up, scaling.stabilization_seconds.down) == (0.0, None)
    assert (scaling.fallback, scaling.paused, scaling.dry_run) == (None, False, False)


def test_a_pause_may_say_at_how_many() -> None:
    spec = PoolSpec.parse({"scaleTargetRef": {"name": "w"}, "scaling": {"paused": {"replicas": 3}}})
    assert spec.scaling.paused == PausedAt(replicas=3)


def test_unknown_fields_of_a_newer_resource_are_passed_over() -> None:
    PoolSpec.parse({"scaleTargetRef": {"name": "w"}, "newer": 1, "scaling": {"newer": 2}})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.scaleTargetRef"),
        ({"scaleTargetRef": {"name": ""}}, "spec.scaleTargetRef.name"),
        ({"scaling": {"maxReplicas": 0}}, "spec.scaling.maxReplicas"),
        ({"scaling": {"targetWaitSeconds": float("nan")}}, "spec.scaling.targetWaitSeconds"),
        ({"scaling": {"maxStep": {"up": "many"}}}, "spec.scaling.maxStep.up"),
        ({"scaling": {"fallback": {"afterSeconds": 5}}}, "spec.scaling.fallback.replicas"),
        ({"redis": {"keyPrefix": "a b"}}, "spec.redis.keyPrefix"),
        ({"onDelete": "explode"}, "spec.onDelete"),
        ({"throughput": -1}, "spec.throughput"),
        ({"scaling": {"minReplicas": 9}}, "spec.scaling.minReplicas must not be above"),
        (
            {"scaling": {"fallback": {"replicas": 9}}},
            "spec.scaling.fallback.replicas must not be above",
        ),
    ],
)
def test_a_bad_spec_is_refused_by_the_name_of_the_field(spec: dict[str, Any], field: str) -> None:
    target = {"scaleTargetRef": {"name": "asr-worker"}} if spec else {}
    with pytest.raises(InvalidOption) as refused:
        PoolSpec.parse({**target, **spec})
    assert field in refused.value.message

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


def test_a_worker_may_be_slower_than_its_audio() -> None:
    spec = PoolSpec.parse({"scaleTargetRef": {"name": "w"}, "throughput": 0.5})
    assert spec.throughput == 0.5


def test_a_deployment_that_never_ran_begins_with_its_pause_or_its_minimum() -> None:
    def at_start(**scaling: Any) -> int:
        spec = PoolSpec.parse({"scaleTargetRef": {"name": "w"}, "scaling": scaling})
        return spec.scaling.replicas_at_start

    assert at_start(minReplicas=2) == 2
    assert at_start(minReplicas=2, paused=True) == 2
    assert at_start(minReplicas=2, paused=True, pausedReplicas=3) == 3
    assert at_start() == 0


@pytest.mark.parametrize(
    ("path", "bounds"),
    [
        ("scaling.maxReplicas", (1, 10_000)),
        ("scaling.minReplicas", (0, None)),
        ("scaling.targetWaitSeconds", (1, 86_400)),
        ("scaling.unschedulableTimeoutSeconds", (0, 86_400)),
        ("scaling.stabilizationSeconds.up", (0, 86_400)),
        ("scaling.stabilizationSeconds.down", (0, 86_400)),
        ("scaling.maxStep.up", (1, 10_000)),
        ("scaling.maxStep.down", (1, 10_000)),
        ("pollIntervalSeconds", (1, 300)),
        ("slotsPerWorker", (1, 100_000)),
        ("throughput", (None, 1_000_000_000)),
    ],
)
def test_numbers_have_their_bounds(path: str, bounds: tuple[int | None, int | None]) -> None:
    def parse(value: float) -> PoolSpec:
        inner: Any = value
        for name in reversed(path.split(".")):
            inner = {name: inner}
        return PoolSpec.parse({"scaleTargetRef": {"name": "w"}, **inner})

    for bound, step in zip(bounds, (-1, 1), strict=True):
        if bound is not None:
            parse(bound)
            with pytest.raises(InvalidOption):
                parse(bound + step)
    for value in (0.0 if path == "throughput" else -1.0, float("inf"), float("nan")):
        with pytest.raises(InvalidOption):
            parse(value)


@pytest.mark.parametrize(
    ("path", "longest"),
    [
        ("scaleTargetRef.name", 253), ("pool", 63), ("redis.urlSecretRef.name", 253),
        ("redis.urlSecretRef.key", 253),
    ],
)  # fmt: skip
def test_names_are_as_long_as_kubernetes_allows(path: str, longest: int) -> None:
    def parse(name: str) -> PoolSpec:
        spec: dict[str, Any] = {
            "scaleTargetRef": {"name": "w"},
            "redis": {"urlSecretRef": {"name": "s", "key": "k"}},
        }
        *outer, last = path.split(".")
        inner = spec
        for part in outer:
            inner = inner[part]
        inner[last] = name
        return PoolSpec.parse(spec)

    parse("a" * longest)
    for wrong in ("", "a" * (longest + 1)):
        with pytest.raises(InvalidOption):
            parse(wrong)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"scaling": {"pausedReplicas": 1}}, "spec.scaling.pausedReplicas"),
        ({"scaling": {"pausedReplicas": 0, "paused": False}}, "spec.scaling.pausedReplicas"),
        ({"redis": {"keyPrefix": "p"}}, "spec.redis.keyPrefix"),
        ({"redis": {"caSecretRef": {"name": "s", "key": "k"}}}, "spec.redis.caSecretRef"),
    ],
)
def test_a_field_that_needs_another_one_says_so(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidOption, match=f"^{field} needs spec") as refused:
        PoolSpec.parse({"scaleTargetRef": {"name": "w"}, **spec})
    assert refused.value.param == field


def test_unknown_fields_of_a_newer_resource_are_passed_over() -> None:
    newer = PoolSpec.parse({"scaleTargetRef": {"name": "w"}, "newer": 1, "scaling": {"newer": 2}})
    assert newer == PoolSpec.parse({"scaleTargetRef": {"name": "w"}})


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

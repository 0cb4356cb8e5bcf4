"""The WorkerPool resource, as far as it can be judged without an API server."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr_core.errors import InvalidOption
from asr_core.task import POOL_PATTERN
from asr_operator.cluster.manifests import crd_text, role_rules_text
from asr_operator.planning.spec import (
    Fallback,
    PoolSpec,
    RedisRef,
    Scaling,
    Stabilization,
    Steps,
    ignored_fields,
)
from asr_operator.reconcile.status import parse_spec
from asr_operator.reconcile.status_patch import CONDITIONS
from cluster_lab.custom_resource import CustomResource
from cluster_lab.objects import Refused

CRD = yaml.safe_load(crd_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
MINIMAL = {"scaleTargetRef": {"name": "asr-worker"}}
RULES = "x-kubernetes-validations"


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a schema with its path."""
    yield path, schema
    for name, inner in (schema.get("properties") or {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def test_its_names_are_those_that_the_platform_documents() -> None:
    spec = CRD["spec"]
    assert CRD["metadata"]["name"] == f"{spec['names']['plural']}.{spec['group']}"
    assert (spec["group"], VERSION["name"], spec["scope"], spec["names"]["kind"]) == (
        "asr-platform.dev",
        "v1alpha1",
        "Namespaced",
        "WorkerPool",
    )
    assert spec["names"]["shortNames"] == ["wp"]
    assert VERSION["served"]
    assert VERSION["storage"]
    assert VERSION["subresources"] == {"status": {}}


@pytest.mark.parametrize(
    ("path", "node"), [pytest.param(p, n, id=p or "root") for p, n in nodes(SCHEMA)]
)
def test_every_field_is_structural(path: str, node: dict[str, Any]) -> None:
    """The API server refuses a schema with untyped nodes, and prunes what is not in it."""
    assert node["type"] in {"object", "array", "string", "integer", "number", "boolean"}
    assert not any(key.startswith("x-kubernetes-preserve") for key in node)
    assert "additionalProperties" not in node
    if node["type"] == "array":
        assert "items" in node
        assert node["maxItems"] > 0, "CEL's cost is bounded by it"
    if node["type"] == "object" and path not in ("", ".metadata"):
        assert node["properties"]
    assert set(node.get("required", [])) <= set(node.get("properties", {}))


@pytest.mark.parametrize(
    ("path", "node"), [pytest.param(p, n, id=p) for p, n in nodes(SPEC, "spec")]
)
def test_a_text_in_the_spec_has_a_longest_length(path: str, node: dict[str, Any]) -> None:
    assert node["type"] != "string" or "enum" in node or node["maxLength"] <= 253


def test_a_server_accepts_the_definition() -> None:
    CustomResource(CRD)


@pytest.mark.parametrize(
    ("field", "rule", "words"),
    [
        pytest.param(
            "scaling",
            {"rule": "self.minReplicas <= self.maxReplicas", "message": "in order"},
            "properties[scaling].default: Invalid value: "
            '"object": no such key: minReplicas evaluating rule: in order',
            id="a default is judged as it is written",
        ),
        pytest.param("scaling", {"rule": "self.least <= 1"}, "undefined field 'least'", id="field"),
        pytest.param("scaling", {"rule": "own.dryRun"}, "undeclared reference to 'own'", id="name"),
        pytest.param("scaling", {"rule": "self.dryRun =="}, "compilation failed", id="syntax"),
        pytest.param(
            "scaling", {"rule": "!has(self.dryRun)", "fieldPath": ".dry"}, "fieldPath", id="path"
        ),
        pytest.param(
            "redis", {"rule": "!has(self.hosts) || size(self.hosts) < 9"}, "no bound", id="cost"
        ),
    ],
)
def test_a_server_refuses_a_wrong_rule(field: str, rule: dict[str, str], words: str) -> None:
    crd = copy.deepcopy(CRD)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]["properties"]
    spec["redis"]["properties"]["hosts"] = {"type": "array", "items": {"type": "string"}}
    spec[field]["x-kubernetes-validations"] = [rule]
    with pytest.raises(Refused) as refused:
        CustomResource(crd)
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("default", "words"),
    [
        ({"replicas": 1}, "must not have unknown fields"),
        ({"minReplicas": -1}, "should be greater than or equal to 0"),
        ({"minReplicas": 3, "maxReplicas": 2}, "must not be above spec.scaling.maxReplicas"),
    ],
)
def test_a_server_refuses_a_wrong_default(default: dict[str, int], words: str) -> None:
    crd = copy.deepcopy(CRD)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["scaling"]["default"] = default
    with pytest.raises(Refused) as refused:
        CustomResource(crd)
    assert words in refused.value.message


def test_every_field_of_the_spec_is_known_to_the_plan_with_the_same_default() -> None:
    def compare(schema: dict[str, Any], value: Any, path: str) -> None:
        for name, inner in schema["properties"].items():
            if name in ("apiVersion", "kind", "pausedReplicas"):
                continue
            attribute = re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), name)
            assert hasattr(value, attribute), f"{path}.{name}"
            planned = getattr(value, attribute)
            if inner["type"] == "object" and "default" in inner:
                compare(inner, planned, f"{path}.{name}")
            elif "default" in inner:
                assert planned == inner["default"], f"{path}.{name}"

    compare(SPEC, PoolSpec.parse(MINIMAL), "spec")


def test_every_field_of_the_plan_is_in_the_resource() -> None:
    def camel(name: str) -> str:
        first, *others = name.split("_")
        return first + "".join(map(str.title, others))

    scaling = SPEC["properties"]["scaling"]["properties"]
    for model, schema in (
        (PoolSpec, SPEC["properties"]),
        (RedisRef, SPEC["properties"]["redis"]["properties"]),
        (Scaling, scaling),
        (Stabilization, scaling["stabilizationSeconds"]["properties"]),
        (Steps, scaling["maxStep"]["properties"]),
        (Fallback, scaling["fallback"]["properties"]),
    ):
        assert {camel(name) for name in model.model_fields} <= set(schema), model


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        ("minReplicas", -1),
        ("maxReplicas", 0),
        ("maxReplicas", 10_001),
        ("targetWaitSeconds", 0),
        ("targetWaitSeconds", 86_401),
        ("unschedulableTimeoutSeconds", -1),
    ],
)
def test_what_the_plan_refuses_the_schema_refuses_too(name: str, outside: int) -> None:
    node = SPEC["properties"]["scaling"]["properties"][name]
    assert not node["minimum"] <= outside <= node["maximum"]
    with pytest.raises(InvalidOption, match=name):
        PoolSpec.parse({**MINIMAL, "scaling": {name: outside}})


def test_a_pool_has_the_name_that_the_queue_allows() -> None:
    assert SPEC["properties"]["pool"]["pattern"] == POOL_PATTERN


def test_every_rule_names_its_field() -> None:
    rules = [
        (path, rule)
        for path, node in nodes(SPEC, "spec")
        for rule in node.get("x-kubernetes-validations", [])
    ]
    assert len(rules) == 7
    for path, rule in rules:
        assert path in rule["message"]
        assert "\n" not in rule["message"]
        for field in re.findall(r"self\.([A-Za-z]+)", rule["rule"]):
            assert field in dict(nodes(SPEC, "spec"))[path]["properties"]


def test_every_column_shows_a_field_that_exists() -> None:
    paths = {path for path, _ in nodes(SCHEMA)} | {".metadata.creationTimestamp"}
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"]
        if "?" in path:
            kind, field = re.fullmatch(  # type: ignore[union-attr]
                r'\.status\.conditions\[\?\(@\.type=="(\w+)"\)\]\.(\w+)', path
            ).groups()
            assert kind in CONDITIONS
            assert f".status.conditions[].{field}" in paths
        else:
            assert path in paths


def test_paused_replicas_pause_at_that_number() -> None:
    pool = {"spec": {**MINIMAL, "scaling": {"paused": True, "pausedReplicas": 3}}}
    paused = parse_spec(pool).scaling.paused
    assert not isinstance(paused, bool)
    assert paused.replicas == 3


CASES = yaml.safe_load((Path(__file__).parents[2] / "fixtures/worker_pools.yaml").read_text())


@pytest.mark.parametrize(
    "case", [pytest.param(each, id=each["name"]) for each in CASES if "was" not in each]
)
def test_the_plan_takes_and_refuses_the_specs_that_the_server_does(case: dict[str, Any]) -> None:
    """`asr simulate` reads specs that no server has seen. Of a rule the words are the same."""
    refused, spec = case.get("refused", []), case.get("spec") or {}
    # The plan knows one kind of target, and reads a number in a text.
    if not refused or ".kind:" in refused[0] or "must be of type" in refused[0]:
        PoolSpec.parse(spec)
        return
    with pytest.raises(InvalidOption) as error:
        PoolSpec.parse(spec)
    rules = [rule["message"] for _, node in nodes(SPEC) for rule in node.get(RULES, [])]
    words = [rule for rule in rules if any(rule in each for each in refused)]
    assert all(each in error.value.message for each in words)


def test_a_stored_pool_whose_fields_mean_nothing_works_on_and_is_told_of() -> None:
    """It was taken before the rule came; `paused` and `keyPrefix` are there by default."""
    spec = {
        **MINIMAL,
        "redis": {"caSecretRef": {"name": "redis", "key": "ca"}, "keyPrefix": "asr"},
        "scaling": {"paused": False, "pausedReplicas": 3},
    }
    parsed = parse_spec({"spec": spec})
    assert parsed == PoolSpec.parse(MINIMAL)
    assert spec["scaling"]["pausedReplicas"] == 3, "the resource itself is left alone"
    assert [(each.field, each.reason) for each in ignored_fields(spec)] == [
        ("pausedReplicas", "NeedsPaused"),
        ("caSecretRef", "NeedsUrlSecretRef"),
        ("keyPrefix", "NeedsUrlSecretRef"),
    ]
    assert not ignored_fields({"redis": {"keyPrefix": ""}, "scaling": {"paused": False}})


def test_what_was_stored_before_a_rule_came_can_be_written_on() -> None:
    """Its status, and what has nothing to do with the rule; a part that is wrong is not changed
    before it is right."""
    pools = CustomResource(CRD)
    meta = {"name": "gpu", "namespace": "asr"}
    scaling = {"minReplicas": 0, "maxReplicas": 8, "paused": False, "pausedReplicas": 3}
    spec = {**pools.admit({"metadata": meta, "spec": MINIMAL})["spec"], "scaling": scaling}
    stored = {"metadata": meta, "spec": spec}
    admitted = pools.admit({**stored, "status": {"replicas": 3}}, stored)
    assert admitted["status"] == {"replicas": 3}
    pools.admit({"metadata": meta, "spec": {**spec, "pollIntervalSeconds": 5}}, admitted)
    more = {**spec, "scaling": {**scaling, "maxReplicas": 9}}
    with pytest.raises(Refused, match=r"spec\.scaling\.pausedReplicas needs"):
        pools.admit({"metadata": meta, "spec": more}, admitted)
    del more["scaling"]["pausedReplicas"]
    pools.admit({"metadata": meta, "spec": more}, admitted)


def test_the_role_holds_no_wildcard_and_nothing_outside_a_namespace() -> None:
    rules = yaml.safe_load(role_rules_text())
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not {"namespaces", "nodes", "customresourcedefinitions"} & set(rule["resources"])
    secrets = [rule["verbs"] for rule in rules if "secrets" in rule["resources"]]
    assert secrets == [["get"]]

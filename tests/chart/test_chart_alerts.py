"""Every rule that the chart renders is checked and tested by promtool, and has a runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from asr_api.courier.metrics import CourierMetrics
from asr_api.monitoring.metrics import ApiMetrics
from asr_api.monitoring.queue_collector import QueueCollector
from asr_operator.reconcile.metrics import OperatorMetrics
from asr_worker.metrics import WorkerMetrics

ROOT = Path(__file__).parents[2]
TESTS = Path(__file__).with_name("alerts.yaml")
ON = "monitoring.rules.enabled=true"


def groups(render: Any, *settings: str) -> dict[str, list[dict[str, Any]]]:
    (rule,) = render("--set", ",".join((ON, *settings))).of_kind("PrometheusRule")
    return {group["name"]: group["rules"] for group in rule["spec"]["groups"]}


@pytest.fixture(scope="session")
def every_rule(render: Any) -> dict[str, list[dict[str, Any]]]:
    return groups(render, "redis.exporter.enabled=true")


def names(of: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {rule["alert"] for rules in of.values() for rule in rules}


def test_promtool_checks_and_tests_every_rule(
    every_rule: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed: apt install prometheus")
    listed = [{"name": name, "rules": rules} for name, rules in every_rule.items()]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": listed}))
    shutil.copy(TESTS, tmp_path / "tests.yaml")
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]):
        told = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True)
        assert told.returncode == 0, told.stdout + told.stderr


def test_every_rule_fires_in_a_unit_test(every_rule: dict[str, list[dict[str, Any]]]) -> None:
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test.get("alert_rule_test", ())
        if case["exp_alerts"]
    }
    assert fired == names(every_rule)


def test_every_rule_has_its_runbook(every_rule: dict[str, list[dict[str, Any]]]) -> None:
    document = (ROOT / "docs/alerts.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (\w+)\n\n(.+?)(?=^##|\Z)", document, re.MULTILINE | re.DOTALL)
    assert {name for name, _ in sections} == names(every_rule)
    assert min(len(text) for _, text in sections) > 100
    for rules in every_rule.values():
        for rule in rules:
            assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"


def test_rules_of_what_is_not_installed_are_left_out(render: Any) -> None:
    assert "asr-redis" not in groups(render)
    assert "asr-operator" not in groups(render, "operator.enabled=false")
    assert "asr-courier" not in groups(render, "courier.enabled=false")


def test_a_rule_looks_at_its_own_namespace_and_names_no_unknown_metric(
    every_rule: dict[str, list[dict[str, Any]]],
) -> None:
    registries = (
        ApiMetrics(CollectorRegistry()).registry,
        WorkerMetrics(CollectorRegistry()).registry,
        OperatorMetrics(CollectorRegistry()).registry,
        CourierMetrics(CollectorRegistry()).registry,
    )
    families = [family for registry in registries for family in registry.collect()]
    families += QueueCollector().describe()
    known = {each.name + ("_total" if each.type == "counter" else "") for each in families}
    for rules in every_rule.values():
        for rule in rules:
            asked = rule["expr"]
            assert asked.count('namespace="speech"') == asked.count("{"), rule["alert"]
            used = set(re.findall(r"\b(asr_[a-z_]+)\{", asked))
            assert used or "redis_" in asked, rule["alert"]
            assert used <= known, rule["alert"]


def test_a_model_that_takes_long_to_load_does_not_count_as_a_failed_start(render: Any) -> None:
    (rule,) = [
        each
        for each in groups(render, "worker.startupSeconds=3600")["asr-operator"]
        if each["alert"] == "AsrWorkersFailToStart"
    ]
    assert rule["for"] == "65m"

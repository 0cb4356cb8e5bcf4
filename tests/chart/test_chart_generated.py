"""Generated files are those of their sources; a stale one is named."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from chart.boards import DASHBOARDS
from chart.dashboards import dashboard_text
from chart.generated import MANIFESTS, copies, rendered, stale
from chart.readme import uncommented
from chart.tools import Helm, ToolMissing, find_kubectl

RUN = "run make manifests"


def test_no_copy_is_stale() -> None:
    assert stale(copies()) == [], RUN


def test_the_rendered_install_is_that_of_the_chart_with_either_helm(helm: Helm) -> None:
    assert stale(rendered(helm)) == [], RUN


def test_a_stale_or_missing_file_is_named(tmp_path: Path) -> None:
    fresh, old, missing = (tmp_path / name for name in ("fresh", "old", "missing"))
    fresh.write_text("new")
    old.write_text("old")
    assert stale(iter([(fresh, "new"), (old, "new"), (missing, "new")])) == [old, missing]


def test_every_value_is_in_the_chart_s_readme_and_in_its_schema(chart_folder: Path) -> None:
    schema = yaml.safe_load((chart_folder / "values.schema.json").read_text())
    values = yaml.safe_load((chart_folder / "values.yaml").read_text())
    assert set(schema["properties"]) == set(values)
    text = (chart_folder / "README.md").read_text()
    assert uncommented((chart_folder / "values.yaml").read_text()) == []
    for name in ("redis.persistence.whenDeleted", "pools", "worker.gpu.enabled", "otherPools"):
        assert f"| `{name}` |" in text


def test_the_development_install_is_one_that_kustomize_builds() -> None:
    try:
        kubectl = find_kubectl()
    except ToolMissing as error:
        pytest.skip(str(error))
    if not shutil.which(str(kubectl)):
        pytest.skip("kubectl does not run here")
    built = subprocess.run(
        [str(kubectl), "kustomize", str(MANIFESTS / "dev")], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    objects = list(yaml.safe_load_all(built.stdout))
    kinds = {each["kind"] for each in objects}
    assert {"Namespace", "WorkerPool", "Secret"} <= kinds
    # kubectl, too, must know a kind before it sends objects of it.
    assert "CustomResourceDefinition" not in kinds
    apart = [each for each in objects if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in apart} == {"asr"}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda each: each.name)
def test_a_dashboard_asks_for_one_namespace_in_every_selector(dashboard: object) -> None:
    import json

    board = json.loads(dashboard_text(dashboard))  # type: ignore[arg-type]
    targets = [target for panel in board["panels"] for target in panel["targets"]]
    assert len(targets) > 10
    for target in targets:
        selectors = target["expr"].count("{")
        assert target["expr"].count('{namespace="$namespace"') == selectors > 0, target["expr"]

"""Every generated file with its text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chart.boards import DASHBOARDS
from chart.catalogue import models_text
from chart.dashboards import dashboard_text
from chart.manifests import dev_install
from chart.readme import chart_readme
from chart.tools import Helm

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "asr-platform"
MANIFESTS = ROOT / "manifests"
_OPERATOR = ROOT / "operator" / "asr_operator"


def copies() -> Iterator[tuple[Path, str]]:
    """What takes no helm: the operator's resource and role, the catalogue, dashboards, README."""
    crd = (_OPERATOR / "workerpool_crd.yaml").read_text(encoding="utf-8")
    role = (_OPERATOR / "rbac.yaml").read_text(encoding="utf-8")
    yield CHART / "files" / "workerpool_crd.yaml", crd
    yield MANIFESTS / "crd" / "workerpools.yaml", crd
    yield CHART / "files" / "rbac.yaml", role
    yield CHART / "files" / "models.yaml", models_text()
    for dashboard in DASHBOARDS:
        yield CHART / "dashboards" / f"{dashboard.name}.json", dashboard_text(dashboard)
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    yield CHART / "README.md", chart_readme(values)


def rendered(helm: Helm) -> Iterator[tuple[Path, str]]:
    """What helm makes; the copies must be there."""
    yield MANIFESTS / "dev" / "asr-platform.yaml", dev_install(helm, CHART)


def stale(files: Iterator[tuple[Path, str]]) -> list[Path]:
    """Files that are missing or say something else."""
    return [
        path
        for path, text in files
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def write(files: Iterator[tuple[Path, str]]) -> None:
    for path, text in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

"""Grafana's JSON of the dashboards in `panels.py`, laid out row by row."""

from __future__ import annotations

import json
from typing import Any

from chart.panels import Dashboard, Panel

_WIDTH = 24
_HEIGHTS = {"stat": 4, "timeseries": 8}
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard_text(dashboard: Dashboard) -> str:
    """The file that Grafana loads."""
    return json.dumps(_dashboard(dashboard), indent=1) + "\n"


def selected(query: str) -> str:
    """The query of a panel with the namespace in every selector."""
    namespace = 'namespace="$namespace"'
    return query.replace("{}", f"{{{namespace}}}").replace("{,", f"{{{namespace},")


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": f"asr-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["asr-platform"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "ASR",
                "tags": ["asr-platform"],
                "asDropdown": True,
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "templating": {"list": _variables(dashboard)},
        "panels": _laid_out(dashboard.panels),
    }


def _variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    first = {"service": "asr_queue_up", "workers": "asr_worker_busy"}
    metric = first.get(dashboard.name, "asr_operator_leading")
    query = f"label_values({metric}, namespace)"
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"},
        {
            "name": "namespace",
            "type": "query",
            "label": "Namespace",
            "datasource": _SOURCE,
            "definition": query,
            "query": {"query": query, "refId": "namespace"},
            "refresh": 2,
            "sort": 1,
        },
    ]


def _laid_out(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    laid, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > _WIDTH:
            x, y = 0, y + height
        height = _HEIGHTS[panel.kind]
        place = {"x": x, "y": y, "w": panel.width, "h": height}
        laid.append(_panel(number, panel, place))
        x += panel.width
    return laid


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + position),
            "datasource": _SOURCE,
            "expr": selected(query),
            **({"legendFormat": legend} if legend else {}),
        }
        for position, (query, legend) in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        **({"description": panel.text} if panel.text else {}),
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }

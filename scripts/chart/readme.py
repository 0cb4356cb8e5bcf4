"""The chart's README: its table of values is made of the comments in `values.yaml`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

HEAD = """# asr-platform

Speech recognition that you run yourself: HTTP API, durable queue in Redis, FunASR workers, and an
operator that keeps as many of them as the work needs. Kubernetes 1.29 or newer, Helm 3.17 or newer
or Helm 4.

From nothing to a transcript, upgrades, Grafana and uninstalling: [docs/kubernetes.md]({docs}).

```sh
helm install asr helm/asr-platform -n asr --create-namespace -f helm/asr-platform/values-dev.yaml
```

| profile | for |
|---|---|
| `values-dev.yaml` | one node without a GPU, such as kind; the embedded model, no keys |
| `values-gpu.yaml` | NVIDIA GPUs, SenseVoice, monitoring |
| `values-ha.yaml` | over the one before: Redis and the bucket managed elsewhere, several APIs |
| `values-openshift.yaml` | over any: users that the cluster chooses |

This file is generated (`make manifests`) from the comments in `values.yaml`. Values are checked by
a schema, and values that contradict each other are refused with a reason.

- `workloads` holds what every workload may have: labels, tolerations, volumes, sidecars and so on.
  `api`, `courier`, `worker`, each of `pools`, `operator`, `redis`, `retention` and `tests` take the
  same values: maps are merged, lists added to each other, other values replaced.
- `settings`, and `env` of a part, are environment variables: `NAME: value`, or
  `NAME: {{valueFrom: …}}`. The nearest place wins, also over what the chart sets by itself; a few
  names, such as `ASR_POOL` or `REDIS_HOST`, are the chart's alone, and refused with the value that
  is to be set.

## Values

| value | default | |
|---|---|---|
"""
_KEY = re.compile(r"^( *)([A-Za-z0-9]+):(.*)$")
_LONG = 120


@dataclass(frozen=True)
class _Line:
    depth: int
    name: str
    comment: str


def chart_readme(values_text: str) -> str:
    """The whole file. Values without a comment are listed where they hold no others."""
    rows = []
    values = yaml.safe_load(values_text)
    for path, comment in _commented(values_text):
        value = _at(values, path)
        is_branch = isinstance(value, dict) and value and not comment
        if not is_branch:
            rows.append(f"| `{'.'.join(path)}` | {_shown(value)} | {comment} |")
    return HEAD.format(docs="../../docs/kubernetes.md") + "\n".join(rows) + "\n"


def uncommented(values_text: str) -> list[str]:
    """Values that nobody explains; the table would list them without a word."""
    values = yaml.safe_load(values_text)
    explained: list[list[str]] = []
    found = []
    for path, comment in _commented(values_text):
        value = _at(values, path)
        if comment:
            explained.append(path)
        elif not (isinstance(value, dict) and value) and path[:-1] not in explained:
            found.append(".".join(path))
    return found


def _commented(text: str) -> list[tuple[list[str], str]]:
    """Every key of a mapping with its path and the `# --` comment before it."""
    found: list[tuple[list[str], str]] = []
    path: list[str] = []
    comment = ""
    in_list = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = stripped.removeprefix("# -- ")
        elif match := _KEY.match(line):
            in_list = False
            depth = len(match[1]) // 2
            path = [*path[:depth], match[2]]
            found.append((path, comment))
            comment = ""
        elif stripped.startswith("- "):
            in_list = True
        elif stripped and not stripped.startswith("#") and not in_list:
            raise ValueError(f"values.yaml: {line!r} is no plain key")
    return found


def _at(values: Any, path: list[str]) -> Any:
    for name in path:
        values = values[name]
    return values


def _shown(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if len(text) <= _LONG else "see `values.yaml`"

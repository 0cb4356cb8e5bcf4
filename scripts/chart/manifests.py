"""`manifests/`: the resource, and the chart's dev profile rendered for `kubectl apply -k`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from chart.tools import Helm

NAMESPACE = "asr"
_HEAD = "# Generated from helm/asr-platform by `make manifests`: change that.\n"
# Secrets come from the kustomization, so that this file has none in it.
_SETTINGS = (
    "redis.auth.existingSecret=asr-redis",
    "courier.webhookSecret.existingSecret=asr-webhooks",
    "operator.poolsAs=objects",
    "crds.install=false",
    "crds.assumeInstalled=true",
    "tests.enabled=false",
)


def dev_install(helm: Helm, chart: Path) -> str:
    """All objects of the dev profile but the resource definition. Raises RuntimeError."""
    sets = [part for setting in _SETTINGS for part in ("--set", setting)]
    rendered = helm.run(
        "template", "asr", str(chart), "--namespace", NAMESPACE, "--skip-tests",
        "--values", str(chart / "values-dev.yaml"), *sets,
    )  # fmt: skip
    if rendered.returncode:
        raise RuntimeError(rendered.stderr)
    return _HEAD + "\n".join(line.rstrip() for line in rendered.stdout.splitlines()) + "\n"

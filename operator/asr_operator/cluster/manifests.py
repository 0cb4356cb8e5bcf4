"""The operator's CRD and RBAC rules, as YAML."""

from __future__ import annotations

from importlib.resources import files


def crd_text() -> str:
    """The CustomResourceDefinition of WorkerPools: the single source of chart and manifests."""
    return (files("asr_operator") / "workerpool_crd.yaml").read_text(encoding="utf-8")


def role_rules_text() -> str:
    """Rules for a Role in each namespace served, or for one ClusterRole: a YAML list."""
    return (files("asr_operator") / "rbac.yaml").read_text(encoding="utf-8")

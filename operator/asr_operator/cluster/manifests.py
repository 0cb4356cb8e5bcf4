"""What is installed beside the operator: its resource definition and its rights, as YAML."""

from __future__ import annotations

from importlib.resources import files


def crd_text() -> str:
    """The CustomResourceDefinition of WorkerPools: the one source for chart and manifests."""
    return (files("asr_operator") / "workerpool_crd.yaml").read_text(encoding="utf-8")


def role_rules_text() -> str:
    """Rules for a Role in each namespace that is served, or for one ClusterRole: a YAML list."""
    return (files("asr_operator") / "rbac.yaml").read_text(encoding="utf-8")

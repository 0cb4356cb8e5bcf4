"""RBAC as the API server judges it: rules only ever allow, and any one that fits is enough. Pure.

Semantics are those of k8s.io/kubernetes (plugin/pkg/auth/authorizer/rbac, 1.36): a rule with
`resourceNames` fits no request without a name, so neither `create` nor a list of everything.
"""

from __future__ import annotations

from collections.abc import Sequence

from cluster_lab.objects import Refused
from cluster_lab.structural import Json


def fits(rule: Json, group: str, resource: str, verb: str, name: str) -> bool:
    """Whether a rule allows this. `resource` has its subresource: `deployments/scale`."""
    names = rule.get("resourceNames") or []
    return (
        _has(rule["apiGroups"], group)
        and _has(rule["resources"], resource)
        and _has(rule["verbs"], verb)
        and (not names or (bool(name) and name in names))
    )


def refusal(
    rules: Sequence[Json], group: str, resource: str, verb: str, name: str
) -> Refused | None:
    """What the server answers where no rule allows it."""
    if any(fits(rule, group, resource, verb, name) for rule in rules):
        return None
    what = f"{resource}.{group}" if group else resource
    subject = f' "{name}"' if name and verb != "create" else ""
    return Refused(403, "Forbidden", f'{what}{subject} is forbidden: cannot {verb} "{resource}"')


def _has(listed: Sequence[str], wanted: str) -> bool:
    return wanted in listed or "*" in listed

"""`x-kubernetes-validations` as the API server judges them: compiled when the resource is defined,
evaluated on each object. Pure.

Semantics are those of k8s.io/apiextensions-apiserver (pkg/apiserver/schema/cel, 1.36). The server
estimates a cost from types and bounds; here a rule is refused below, or about, anything that has no
bound, which is stricter.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import celpy
import lark

from cluster_lab.structural import Json, nodes, shown

_ENVIRONMENT = celpy.Environment()
_BOUNDS = {"array": "maxItems", "string": "maxLength"}


def definition_errors(schema: Json) -> Iterator[tuple[str, str]]:
    """What is wrong with the rules themselves, wherever they stand in a schema."""
    yield from _definition_errors(schema, "", unbounded="")


def broken(
    value: Any, schema: Json, old: Any = None, path: str = "", *, is_update: bool = False
) -> Iterator[tuple[str, str]]:
    """The rules that a value breaks, with their paths and messages.

    A transition rule (one about `oldSelf`) needs an old value at its place. On an update, what is
    wrong with a part that has not changed is let through (ratcheting).
    """
    before = {where: part for where, part, _ in nodes(old, schema, path)} if is_update else {}
    for where, part, node in nodes(value, schema, path):
        is_unchanged = where in before and before[where] == part
        for rule in node.get("x-kubernetes-validations") or []:
            is_transition = "oldSelf" in _roots(rule["rule"])
            if is_unchanged or (is_transition and where not in before):
                continue
            yield from (
                (where + field, f"Invalid value: {_scalar(part)}{message}")
                for field, message in _evaluated(rule, part, before.get(where))
            )


def _scalar(value: Any) -> str:
    return "" if isinstance(value, dict | list) else f"{shown(value)}: "


def _evaluated(rule: Json, value: Any, old: Any) -> Iterator[tuple[str, str]]:
    """The field below `value` that is wrong, and why; nothing where the rule holds."""
    names = {"self": celpy.json_to_cel(value), "oldSelf": celpy.json_to_cel(old)}
    message = rule.get("message") or f"failed rule: {rule['rule']}"
    try:
        if not _ENVIRONMENT.program(_compiled(rule["rule"])).evaluate(names):
            yield rule.get("fieldPath", ""), message
    except celpy.CELEvalError as error:
        reason = str(error.args[0]).replace("no such member in mapping: ", "no such key: ")
        reason = reason.replace("'", "")
        yield "", f"{shown(value)}: {reason} evaluating rule: {message}"


def _definition_errors(schema: Json, path: str, *, unbounded: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations") or []:
        where = f"{path}.x-kubernetes-validations"
        if unbounded:
            yield where, f"Forbidden: estimated rule cost is too high: {unbounded} has no bound"
        yield from ((where, problem) for problem in _rule_errors(rule, schema))
    for name, inner in (schema.get("properties") or {}).items():
        yield from _definition_errors(inner, f"{path}.{name}", unbounded=unbounded)
    if "items" in schema:
        unbounded = unbounded or ("" if "maxItems" in schema else path)
        yield from _definition_errors(schema["items"], f"{path}[]", unbounded=unbounded)


def _rule_errors(rule: Json, schema: Json) -> Iterator[str]:
    try:
        tree = _compiled(rule["rule"])
    except celpy.CELParseError as error:
        yield f"Invalid value: compilation failed: {error}"
        return
    for name in _roots(rule["rule"]) - {"self", "oldSelf"}:
        yield f"Invalid value: compilation failed: undeclared reference to '{name}'"
    for fields in _selections(tree):
        node: Json | None = schema
        for field in fields:
            node = ((node or {}).get("properties") or {}).get(field)
            if node is None:
                yield f"Invalid value: compilation failed: undefined field '{field}'"
                break
        else:
            bound = _BOUNDS.get(str((node or {}).get("type")), "type")
            if bound not in (node or {}) and "enum" not in (node or {}):
                yield f"Forbidden: estimated rule cost is too high: {'.'.join(fields)} has no bound"
    field_path = rule.get("fieldPath", "")
    if field_path and field_path.lstrip(".") not in schema.get("properties", {}):
        yield f"Invalid value: fieldPath {field_path} is no field here"


@cache
def _compiled(text: str) -> lark.Tree[lark.Token]:
    tree: lark.Tree[lark.Token] = _ENVIRONMENT.compile(text)
    return tree


@cache
def _roots(text: str) -> frozenset[str]:
    """The variables that a rule names."""
    return frozenset(str(each.children[0]) for each in _compiled(text).find_data("ident"))


def _selections(tree: lark.Tree[lark.Token]) -> set[tuple[str, ...]]:
    """Every chain of fields from `self` or `oldSelf`; of `self.a.b` the longest only."""
    found = {fields for each in tree.find_data("member_dot") if (fields := _chain(each))}
    return {
        one for one in found if not any(len(o) > len(one) and o[: len(one)] == one for o in found)
    }


def _chain(tree: Any) -> tuple[str, ...] | None:
    if tree.data == "member_dot":
        base = _chain(tree.children[0])
        return None if base is None else (*base, str(tree.children[1]))
    if tree.data == "ident":
        return () if tree.children[0] in ("self", "oldSelf") else None
    return _chain(tree.children[0]) if tree.data in ("member", "primary") else None

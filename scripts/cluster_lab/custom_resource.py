"""One custom resource as an API server serves it: its definition checked, its objects admitted.

The order is the server's: prune, fill in defaults, validate by the schema, and only where that is
clean by the rules. A default is judged as it is written, before defaults of its own fields are
filled in: a rule of `default: {}` sees an empty object.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

from cluster_lab import rules, structural
from cluster_lab.objects import Json, Refused


class CustomResource:
    """The one served version of a CustomResourceDefinition.

    Raises `Refused` (422) where the server would not accept the definition.
    """

    def __init__(self, crd: Json) -> None:
        self.kind: str = crd["spec"]["names"]["kind"]
        self.group: str = crd["spec"]["group"]
        self.schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        found = [*rules.definition_errors(self.schema)]
        found = found or [*_default_errors(self.schema, "")]
        if found:
            name = crd["metadata"]["name"]
            root = "spec.validation.openAPIV3Schema"
            raise _invalid("CustomResourceDefinition", name, ((root + p, m) for p, m in found))

    def admit(self, new: Json, old: Json | None = None) -> Json:
        """The object as it would be stored. Raises `Refused` (422); a part that was wrong already
        and has not changed is let through."""
        stored: Json = structural.pruned({**new, "metadata": {}}, self.schema)
        stored["metadata"] = copy.deepcopy(new["metadata"])
        structural.defaulted(stored, self.schema)
        if old is not None:  # what is read from the store gets the defaults of today's schema
            old = structural.defaulted(copy.deepcopy(old), self.schema)
        unchanged = _parts(old, self.schema) if old else {}
        now = _parts(stored, self.schema)
        found = [
            (path, message)
            for path, message in structural.violations(stored, self.schema)
            if not (path in unchanged and unchanged[path] == now.get(path))
        ]
        found = found or [*rules.broken(stored, self.schema, old, is_update=old is not None)]
        if found:
            raise _invalid(f"{self.kind}.{self.group}", stored["metadata"].get("name", ""), found)
        return stored


def _parts(value: Json, schema: Json) -> dict[str, object]:
    return {path: part for path, part, _ in structural.nodes(value, schema)}


def _default_errors(schema: Json, path: str) -> Iterator[tuple[str, str]]:
    for name, inner in (schema.get("properties") or {}).items():
        where = f"{path}.properties[{name}]"
        if "default" in inner:
            default, at = inner["default"], f"{where}.default"
            shown = structural.shown(default)
            if structural.pruned(default, inner) != default:
                yield at, f"Invalid value: {shown}: must not have unknown fields"
            wrong = [*structural.violations(default, inner, at)]
            yield from wrong or rules.broken(default, inner, path=at)
        yield from _default_errors(inner, where)
    if "items" in schema:
        yield from _default_errors(schema["items"], f"{path}.items")


def _invalid(kind: str, name: str, found: Iterable[tuple[str, str]]) -> Refused:
    """A Status as the server builds it; kubectl prints its causes."""
    causes = [{"field": path, "message": message} for path, message in found]
    messages = [f"{each['field']}: {each['message']}" for each in causes]
    text = messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"
    details: Json = {"name": name, "kind": kind.partition(".")[0], "causes": causes}
    return Refused(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)

"""kmock's server with versions, conflicts, subresources and admission of WorkerPools."""

from __future__ import annotations

import copy
import itertools
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp.web
import attrs
import kmock

from cluster_lab import controllers, events, tables
from cluster_lab.custom_resource import CustomResource
from cluster_lab.objects import Json, Refused, matches, merged
from cluster_lab.patches import patched, replicas_of, scale_of
from cluster_lab.served import (
    CRD,
    RESOURCES,
    WITH_STATUS,
    api_version,
    discovery,
    for_kmock,
    qualified,
)


@dataclass(frozen=True)
class ClusterRequest:
    """One request, as RBAC sees it. `plural` is without the subresource."""

    group: str
    plural: str
    subresource: str
    verb: str
    namespace: str
    name: str
    options: Mapping[str, str]
    agent: str
    body: Any
    content_type: str = ""
    accept: str = ""

    @property
    def resource(self) -> str:
        """As a role names it."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural


@attrs.define(kw_only=True)
class FakeCluster(kmock.KubernetesEmulator):
    """Objects live in `store` by (plural, namespace, name). `refuse` is asked before all else."""

    store: dict[tuple[str, str, str], Json] = attrs.field(factory=dict, init=False)
    asked: list[ClusterRequest] = attrs.field(factory=list, init=False)
    refuse: Callable[[ClusterRequest], Refused | None] = attrs.field(
        default=lambda _: None, init=False
    )
    _versions: Any = attrs.field(factory=lambda: itertools.count(1), init=False)
    _news: list[tuple[str, str, Json]] = attrs.field(factory=list, init=False)
    _pools: CustomResource = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name, info in for_kmock().items():
            self.resources[name] = info
        self._pools = CustomResource(CRD)

    async def _handle(self, request: kmock.Request) -> aiohttp.web.StreamResponse:
        if listed := discovery(request.url.path):
            return aiohttp.web.json_response(listed)
        asked = _request_of(request)
        if (asked.group, asked.plural, asked.verb) == ("", "events", "list"):
            return aiohttp.web.json_response(self._core_events(asked))
        if RESOURCES.get(asked.plural, ("?",))[0] != asked.group:
            return await super()._handle(request)
        self.asked.append(asked)
        try:
            if refused := self.refuse(asked):
                raise refused
            if asked.verb == "watch":
                return await super()._handle(request)
            reply = self._answer(asked)
            await self._announce()
        except Refused as refused:
            return aiohttp.web.json_response(refused.body(), status=refused.status)
        return aiohttp.web.json_response(reply)

    def next_version(self) -> str:
        """Versions rise over all objects."""
        return str(next(self._versions))

    def objects_of(self, plural: str, namespace: str) -> list[Json]:
        return [thing for (p, n, _), thing in self.store.items() if (p, n) == (plural, namespace)]

    def write(self, plural: str, thing: Json, *, kind: str = "MODIFIED") -> Json:
        """Stores a new version and tells watchers."""
        meta = thing["metadata"]
        meta["resourceVersion"] = self.next_version()
        key = (plural, meta["namespace"], meta["name"])
        self.store[key] = thing
        group, version, _ = RESOURCES[plural]
        self.objects[kmock.resource(group, version, plural), *key[1:]] = thing
        self._news.append((plural, kind, copy.deepcopy(thing)))
        return thing

    def remove(self, plural: str, namespace: str, name: str) -> None:
        thing = self.store.pop((plural, namespace, name))
        group, version, _ = RESOURCES[plural]
        del self.objects[kmock.resource(group, version, plural), namespace, name]
        self._news.append((plural, "DELETED", copy.deepcopy(thing)))

    def create(self, plural: str, namespace: str, body: Json) -> Json:
        thing = copy.deepcopy(body)
        meta = thing.setdefault("metadata", {})
        if prefix := meta.pop("generateName", ""):
            meta.setdefault("name", self._free_name(plural, namespace, prefix))
        if (plural, namespace, meta["name"]) in self.store:
            message = f'{qualified(plural)} "{meta["name"]}" already exists'
            raise Refused(409, "AlreadyExists", message)
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        thing |= {"apiVersion": api_version(plural), "kind": RESOURCES[plural][2]}
        meta |= {"namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": created}
        if plural in WITH_STATUS:
            meta["generation"] = 1
            thing.pop("status", None)
        if plural == "workerpools":
            thing = self._pools.admit(thing)
        elif plural == "events":
            events.check(thing)
        return self.write(plural, thing, kind="ADDED")

    def _free_name(self, plural: str, namespace: str, prefix: str) -> str:
        """As an API server makes one: a name that is taken is not an error, but tried again."""
        while True:
            name = prefix + uuid.uuid4().hex[:5]
            if (plural, namespace, name) not in self.store:
                return name

    async def _announce(self) -> None:
        while self._news:
            plural, kind, thing = self._news.pop(0)
            group, version, _ = RESOURCES[plural]
            bus = self._buses[kmock.resource(group, version, plural)]
            await bus.put({"type": kind, "object": thing})

    def _answer(self, asked: ClusterRequest) -> Json:
        plural, namespace = asked.plural, asked.namespace
        if asked.verb == "list":
            selector = asked.options.get("labelSelector", "")
            found = [t for t in self.objects_of(plural, namespace) if matches(t, selector)]
            return self._listed(asked, found)
        if asked.resource == "pods/binding":
            return self._bind(asked)
        if asked.verb == "create":
            made = self.create(plural, namespace, asked.body)
            controllers.reconcile(self, namespace)
            return made
        thing = self.store.get((plural, namespace, asked.name))
        if thing is None:
            raise Refused(404, "NotFound", f'{qualified(plural)} "{asked.name}" not found')
        if asked.verb == "get" and plural == "workerpools" and tables.is_asked_for(asked.accept):
            return self._listed(asked, [thing])
        if asked.verb == "delete":
            self._delete(thing, asked)
        elif asked.verb == "patch":
            thing = self._patch(thing, asked)
        elif asked.verb == "update":
            thing = self._update(thing, asked)
        controllers.reconcile(self, namespace)
        return scale_of(thing) if asked.subresource == "scale" else thing

    def _listed(self, asked: ClusterRequest, things: list[Json]) -> Json:
        version = self.next_version()
        if asked.plural == "workerpools" and tables.is_asked_for(asked.accept):
            columns = CRD["spec"]["versions"][0]["additionalPrinterColumns"]
            return tables.table(columns, things, version)
        return {
            "kind": f"{RESOURCES[asked.plural][2]}List",
            "apiVersion": api_version(asked.plural),
            "metadata": {"resourceVersion": version},
            "items": things,
        }

    def _core_events(self, asked: ClusterRequest) -> Json:
        """The events that were posted to `events.k8s.io`, in the API that kubectl lists."""
        found = [events.as_core(each) for each in self.objects_of("events", asked.namespace)]
        listed = [each for each in found if events.is_selected(each, asked.options)]
        meta = {"resourceVersion": self.next_version()}
        return {"kind": "EventList", "apiVersion": "v1", "metadata": meta, "items": listed}

    def _patch(self, thing: Json, asked: ClusterRequest) -> Json:
        """As the server does: the newest version is patched, so that only a version that the patch
        itself names can be out of date."""
        plural, is_scale = asked.plural, asked.subresource == "scale"
        view = scale_of(thing) if is_scale else thing
        wanted = patched(view, asked.content_type, asked.body)
        _check_identity(wanted["metadata"], thing["metadata"], asked)
        if is_scale:
            replicas = replicas_of(wanted, asked.name)
            changed = merged(thing, {"spec": {"replicas": replicas}})
        elif asked.subresource == "status":
            changed = {**thing, "status": wanted.get("status", {})}
        else:
            changed = wanted
            if plural in WITH_STATUS and "status" in thing:
                changed["status"] = thing["status"]
            elif plural in WITH_STATUS:
                changed.pop("status", None)
        changed = copy.deepcopy(changed)
        if plural == "workerpools":
            changed = self._pools.admit(changed, thing)
        if json.dumps(changed, sort_keys=True) == json.dumps(thing, sort_keys=True):
            return thing
        if plural in WITH_STATUS and changed.get("spec") != thing.get("spec"):
            changed["metadata"]["generation"] += 1
        return self.write(plural, changed)

    def _update(self, thing: Json, asked: ClusterRequest) -> Json:
        body = copy.deepcopy(asked.body)
        if body["metadata"].get("resourceVersion") != thing["metadata"]["resourceVersion"]:
            raise _outdated(asked)
        changed = {**thing, **body, "status": thing.get("status", {})}
        if asked.plural == "workerpools":
            changed = self._pools.admit(changed, thing)
        changed["metadata"]["generation"] += changed["spec"] != thing["spec"]
        return self.write(asked.plural, changed)

    def _delete(self, thing: Json, asked: ClusterRequest) -> None:
        options = {**asked.options, **(asked.body or {})}
        is_bound = asked.plural == "pods" and thing["spec"].get("nodeName")
        if is_bound and str(options.get("gracePeriodSeconds", "")) != "0":
            controllers.terminate(self, thing)
        else:
            self.remove(asked.plural, asked.namespace, asked.name)

    def _bind(self, asked: ClusterRequest) -> Json:
        node = {"spec": {"nodeName": asked.body["target"]["name"]}}
        self.write("pods", merged(self.store["pods", asked.namespace, asked.name], node))
        return {"kind": "Status", "status": "Success"}


def _check_identity(wanted: Json, now: Json, asked: ClusterRequest) -> None:
    if wanted.get("resourceVersion") not in (None, "", now["resourceVersion"]):
        raise _outdated(asked)
    if wanted.get("uid") not in (None, "", now["uid"]):
        message = f"Precondition failed: UID in precondition: {wanted['uid']}"
        raise Refused(409, "Conflict", f"{message}, UID in object meta: {now['uid']}")


def _outdated(asked: ClusterRequest) -> Refused:
    return Refused(
        409, "Conflict",
        f'Operation cannot be fulfilled on {qualified(asked.plural)} "{asked.name}": the object '
        "has been modified; please apply your changes to the latest version and try again",
    )  # fmt: skip


def _request_of(request: kmock.Request) -> ClusterRequest:
    method = str(request.method.value).upper()
    verb = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}.get(method)
    if verb is None:
        verb = "get" if request.name else "list"
        if request.params.get("watch") == "true":
            verb = "watch"
    return ClusterRequest(
        group=str(request.resource.group) if request.resource else "",
        plural=str(request.resource.plural) if request.resource else "",
        subresource=request.subresource or "",
        verb=verb,
        namespace=request.namespace or "",
        name=request.name or "",
        options=request.params,
        agent=request.headers.get("User-Agent", ""),
        body=request.data,
        content_type=request.headers.get("Content-Type", ""),
        accept=request.headers.get("Accept", ""),
    )

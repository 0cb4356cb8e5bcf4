"""Creates and updates the WorkerPools that the installation declares in a file.

An installer cannot: it resolves the kind of every object of a release before it creates the first,
and at a first install the cluster does not know WorkerPools yet. A later hook is too late for
`helm install --wait`, which waits for Deployments that only the operator starts.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from asr_core.errors import ClusterUnavailable, InvalidOption
from asr_core.process.logs import get_logger
from asr_operator.cluster import rest_client
from asr_operator.cluster.event import Event
from asr_operator.cluster.objects import Cluster
from asr_operator.cluster.rest_client import Json, Kube, path

# Digest of the declaration: manual changes to the pool stay until the declaration changes.
DECLARED = "asr-platform.dev/declared"
_RESYNC_SECONDS = 30.0
_RETRY_SECONDS = 2.0
_FAILURES_BEFORE_WARNING = 3
_log = get_logger(__name__)


class DeclaredPools:
    """Each pool is owned by its Deployment, so that Kubernetes deletes both together."""

    def __init__(self, api: Kube, cluster: Cluster, namespace: str, pools: Sequence[Json]) -> None:
        self._api = api
        self._cluster = cluster
        self._namespace = namespace
        self._pools = pools
        self._failures: dict[str, tuple[str, int]] = {}  # by pool: the message, and how often
        self._compared: set[str] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Reconciles all of them now: a pool was deleted."""
        self._wake.set()

    async def run(self) -> None:
        """Every half minute, until cancelled: recreates pools that were deleted.

        Each existing pool is compared with its declaration only once: in a rolling update the old
        operator must not undo what the new one has applied.
        """
        while True:
            is_done = True
            for pool in self._pools:
                is_done = await self._try_reconcile(pool) and is_done
            with suppress(TimeoutError):
                async with asyncio.timeout(_RESYNC_SECONDS if is_done else _RETRY_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def reconcile(self, declared: Json) -> str:
        """`created`, `updated` or `unchanged`. Raises `ClusterUnavailable`."""
        target = declared["spec"]["scaleTargetRef"]["name"]
        deployment = await self._api.find(
            path(rest_client.APPS, self._namespace, "deployments", target)
        )
        if deployment is None:
            raise ClusterUnavailable(f"Deployment {target!r} does not exist yet")
        try:
            return await self._apply(declared, deployment)
        except ClusterUnavailable as error:
            name = declared["metadata"]["name"]
            last_message, _ = self._failures.get(name, ("", 0))
            if error.reply_status in (403, 422) and last_message != error.message:
                note = f"WorkerPool {name!r} is refused: {error.message}"
                await self._cluster.post(deployment, Event("PoolRefused", note, "Apply", True))
            raise

    async def _apply(self, declared: Json, deployment: Json) -> str:
        meta = declared["metadata"]
        owner = {
            "apiVersion": "apps/v1", "kind": "Deployment",
            "name": deployment["metadata"]["name"], "uid": deployment["metadata"]["uid"],
        }  # fmt: skip
        annotations = {**(meta.get("annotations") or {}), DECLARED: _digest(declared)}
        metadata = {**meta, "annotations": annotations, "ownerReferences": [owner]}
        url = path(rest_client.POOLS, self._namespace, "workerpools")
        found = await self._api.find(f"{url}/{meta['name']}")
        if found is None:
            await self._api.create(url, {**declared, "metadata": metadata})
            return "created"
        has = found["metadata"]
        if meta["name"] in self._compared:
            return "unchanged"
        if (has.get("annotations") or {}).get(DECLARED) == annotations[DECLARED] and any(
            each["uid"] == owner["uid"] for each in has.get("ownerReferences") or []
        ):
            return "unchanged"
        merged = {
            "labels": {**(has.get("labels") or {}), **(metadata.get("labels") or {})},
            "annotations": {**(has.get("annotations") or {}), **annotations},
        }
        replacement = {**found, "metadata": {**has, **metadata, **merged}, "spec": declared["spec"]}
        await self._api.replace(f"{url}/{meta['name']}", replacement)
        return "updated"

    async def _try_reconcile(self, declared: Json) -> bool:
        name = declared["metadata"]["name"]
        try:
            outcome = await self.reconcile(declared)
        except ClusterUnavailable as error:
            # Warn once per message, and only when it repeats: for a moment during an install or an
            # uninstall the operator runs without its rights and Deployments.
            message, count = self._failures.get(name, ("", 0))
            self._failures[name] = (error.message, count + 1 if message == error.message else 1)
            if self._failures[name][1] == _FAILURES_BEFORE_WARNING:
                _log.warning("declared pool not applied", pool=name, error=error.message)
            return False
        self._compared.add(name)
        self._failures.pop(name, None)
        if outcome != "unchanged":
            _log.info("declared pool applied", pool=name, outcome=outcome)
        return True


def read_declared(file: str) -> list[Json]:
    """The WorkerPools of a JSON file; none without a file. Raises `InvalidOption`."""
    if not file:
        return []
    try:
        pools = json.loads(Path(file).read_text(encoding="utf-8"))
        if not all(each["metadata"]["name"] and each["spec"]["scaleTargetRef"] for each in pools):
            raise ValueError("a pool has no name")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidOption(
            f"ASR_WORKER_POOLS_FILE: {file} is not a JSON list of WorkerPools ({error})",
            param="worker_pools_file",
        ) from None
    return list(pools)


def _digest(declared: Json) -> str:
    text = json.dumps(declared, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

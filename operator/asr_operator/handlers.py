"""The kopf handlers, for `asr operator` or `kopf run -m asr_operator.handlers`.

kopf lists and watches WorkerPools, keeps the index of their targets, and handles signals; it writes
nothing. Its timers and daemons would put a finalizer on every WorkerPool, which blocks the deletion
of a namespace once the operator is uninstalled: each pool has a task of its own instead.
docs/architecture.md says why its other features are off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import kopf

from asr_core.errors import AsrError
from asr_operator.cluster.rest_client import Json, load_configuration
from asr_operator.program import Operator
from asr_operator.reconcile.observer import Claimant
from asr_operator.settings import OperatorSettings

RESOURCE = ("asr-platform.dev", "v1alpha1", "workerpools")
REGISTRY = kopf.get_default_registry()


@kopf.on.startup(errors=kopf.ErrorsMode.PERMANENT)
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """`asr operator` sets `memo.operator`; `kopf run` does not."""
    settings.scanning.disabled = True  # no requests outside the namespaces served
    settings.peering.standalone = True  # a Lease elects the leader
    settings.posting.enabled = False  # the operator posts its own events
    settings.persistence.finalizer = "asr-platform.dev/operator"  # never set; removed if found
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 30
    try:
        if "operator" not in memo:
            memo.operator = Operator(OperatorSettings(), load_configuration())
        await memo.operator.start()
    except AsrError as error:
        raise kopf.PermanentError(error.message) from error


@kopf.index(*RESOURCE)
def pools_by_target(
    namespace: str | None, name: str, uid: str, meta: kopf.Meta, spec: kopf.Spec, **_: Any
) -> dict[tuple[str | None, str], Claimant]:
    """Complete before the first event is handled: the oldest pool of a Deployment owns it."""
    target = str((spec.get("scaleTargetRef") or {}).get("name", ""))
    return {(namespace, target): Claimant(str(meta["creationTimestamp"]), uid, name)}


@kopf.on.event(*RESOURCE)
async def pool_event(event: kopf.RawEvent, memo: kopf.Memo, **indices: Any) -> None:
    """A pool was listed, added, changed or deleted."""
    by_target: kopf.Index[tuple[str, str], Claimant] = indices["pools_by_target"]

    def claimants(namespace: str, target: str) -> Sequence[Claimant]:
        return list(by_target.get((namespace, target), ()))

    operator: Operator = memo.operator
    pool = cast("Json", event["object"])
    if event["type"] == "DELETED":
        operator.pool_deleted(pool)
    else:
        operator.pool_changed(pool, claimants)


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """Runs last, before the program ends."""
    if "operator" in memo:
        await memo.operator.stop()

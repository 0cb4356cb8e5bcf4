"""What kopf calls: `asr operator`, or `kopf run -m asr_operator.handlers`.

kopf watches; it writes nothing. Its timers and daemons would put a finalizer on every WorkerPool,
which holds up a namespace's deletion once the operator is gone, so each pool has a loop of ours.
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
    """`memo.operator` may have been put there by whoever runs kopf."""
    settings.scanning.disabled = True  # nothing outside the namespaces that are served
    settings.peering.standalone = True  # a Lease says who acts
    settings.posting.enabled = False  # events are our own
    settings.persistence.finalizer = "asr-platform.dev/operator"  # never set, removed if found
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
    """Complete before any pool is taken up, so that the younger of two never goes first."""
    target = str((spec.get("scaleTargetRef") or {}).get("name", ""))
    return {(namespace, target): Claimant(str(meta["creationTimestamp"]), uid, name)}


@kopf.on.event(*RESOURCE)
async def saw_pool(event: kopf.RawEvent, memo: kopf.Memo, **indices: Any) -> None:
    """Each pool that is listed, added, changed or deleted."""
    by_target: kopf.Index[tuple[str, str], Claimant] = indices["pools_by_target"]

    def claimants(namespace: str, target: str) -> Sequence[Claimant]:
        return list(by_target.get((namespace, target), ()))

    operator: Operator = memo.operator
    pool = cast("Json", event["object"])
    if event["type"] == "DELETED":
        operator.lost(pool)
    else:
        operator.saw(pool, claimants)


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """The last thing before the program ends."""
    if "operator" in memo:
        await memo.operator.stop()

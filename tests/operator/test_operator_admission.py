"""What an API server takes as a WorkerPool: the stand-in, and a real one where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from asr_core.errors import ClusterUnavailable
from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import Json, path
from cluster_lab import Scene

FIXTURES = Path(__file__).parents[1] / "fixtures/worker_pools.yaml"
CASES: list[dict[str, Any]] = yaml.safe_load(FIXTURES.read_text())


async def refusal(scene: Scene, case: dict[str, Any]) -> str:
    """The server's words; empty where it takes the object."""
    url = path(rest_client.POOLS, scene.namespace, "workerpools")
    body: Json = {
        "apiVersion": "asr-platform.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": "pool"},
    }
    if "was" in case:
        await scene.admin.create(url, {**body, "spec": case["was"]})
    spec = {"spec": case["spec"]} if "spec" in case else {}
    try:
        if "was" in case:
            await scene.admin.patch(f"{url}/pool", spec)
        else:
            await scene.admin.create(url, {**body, **spec})
    except ClusterUnavailable as error:
        return error.message if error.reply_status == 422 else repr(error)
    finally:
        if await scene.admin.find(f"{url}/pool"):
            await scene.admin.delete(f"{url}/pool")
    return ""


@pytest.mark.asyncio
async def test_a_pool_is_taken_or_refused_with_the_words_of_the_fixtures(scene: Scene) -> None:
    wrong = []
    for case in CASES:
        message = await refusal(scene, case)
        expected = case.get("refused", [])
        if bool(message) != bool(expected) or not all(each in message for each in expected):
            wrong.append(f"{case['name']}: {message or 'taken'}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.asyncio
async def test_defaults_are_filled_in(scene: Scene) -> None:
    stored = await scene.admin.pool(scene.namespace, "pool", {"scaleTargetRef": {"name": "w"}})
    assert stored["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"},
        "pool": "default",
        "redis": {"keyPrefix": ""},
        "pollIntervalSeconds": 2,
        "onDelete": "keep",
        "scaling": {
            "minReplicas": 0,
            "maxReplicas": 8,
            "targetWaitSeconds": 60,
            "stabilizationSeconds": {"up": 0},
            "maxStep": {"up": 4, "down": 2},
            "unschedulableTimeoutSeconds": 600,
            "paused": False,
            "dryRun": False,
        },
    }


@pytest.mark.asyncio
async def test_unknown_fields_are_dropped(scene: Scene) -> None:
    spec = {"scaleTargetRef": {"name": "w", "namespace": "other"}, "replicas": 3}
    stored = await scene.admin.pool(scene.namespace, "pool", spec)
    assert "replicas" not in stored["spec"]
    assert "namespace" not in stored["spec"]["scaleTargetRef"]

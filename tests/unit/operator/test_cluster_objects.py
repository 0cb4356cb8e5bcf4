"""The API's objects as the plan's plain data."""

from __future__ import annotations

from typing import Any

import pytest

from asr_operator.cluster.objects import Pods, asks_for_gpu, selector_text
from asr_operator.cluster.pods import DELETION_COST, deletion_cost, observe_pod
from asr_operator.cluster.rest_client import path
from asr_operator.planning.observation import PodState
from asr_operator.reconcile.observer import Claimant, pod_of

CREATED = "2026-01-01T00:00:00Z"
CREATED_AT = 1767225600.0


def pod(phase: str = "Running", *, meta: dict[str, Any] | None = None, **conditions: Any) -> Any:
    listed = [{"type": name, **fields} for name, fields in conditions.items()]
    return {
        "metadata": {"name": "p", "creationTimestamp": CREATED, **(meta or {})},
        "status": {"phase": phase, "conditions": listed},
    }


READY = {"Ready": {"status": "True", "lastTransitionTime": "2026-01-01T00:00:40Z"}}


def state(thing: Any) -> PodState | None:
    observation = observe_pod(thing, CREATED_AT + 100)
    return observation and observation.state


def test_a_pod_is_ready_starting_unschedulable_terminating_or_over() -> None:
    assert state(pod(**READY)) is PodState.READY
    assert state(pod("Pending")) is PodState.STARTING
    unready = {"Ready": {"status": "False"}, "PodScheduled": {"status": "True"}}
    assert state(pod(**unready)) is PodState.STARTING
    homeless = {"PodScheduled": {"status": "False", "reason": "Unschedulable"}}
    assert state(pod("Pending", **homeless)) is PodState.UNSCHEDULABLE
    gated = {"PodScheduled": {"status": "False", "reason": "SchedulingGated"}}
    assert state(pod("Pending", **gated)) is PodState.STARTING
    ending = {"deletionTimestamp": "2026-01-01T00:01:00Z"}
    assert state(pod(meta=ending, **READY)) is PodState.TERMINATING
    assert state(pod("Failed")) is None
    assert state(pod("Succeeded")) is None


def test_the_start_up_time_is_that_of_a_pod_that_has_not_restarted() -> None:
    fresh = observe_pod(pod(**READY), CREATED_AT + 100)
    assert fresh is not None
    assert (fresh.age_seconds, fresh.startup_seconds) == (100, 40)
    crashed = pod(**READY)
    crashed["status"]["containerStatuses"] = [{"restartCount": 2}]
    observation = observe_pod(crashed, CREATED_AT + 100)
    assert observation is not None
    assert observation.startup_seconds is None


FETCHED = {"startedAt": "2026-01-01T00:00:05Z", "finishedAt": "2026-01-01T00:00:35Z"}


def fetching(volume: str, **state: Any) -> Any:
    """A pod whose init container `model` writes to a volume of this kind; ready after 40 s."""
    thing = pod(**READY) if "terminated" in state else pod("Pending")
    thing["spec"] = {
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "models", volume: {}}],
        "initContainers": [
            {"name": "mine", "volumeMounts": [{"name": "models", "mountPath": "/models"}]},
            {"name": "model", "volumeMounts": [{"name": "models", "mountPath": "/models"}]},
        ],
    }
    thing["status"]["initContainerStatuses"] = [
        {"name": "mine", "state": {"terminated": {"startedAt": CREATED, "finishedAt": CREATED}}},
        {"name": "model", "state": state},
    ]
    return thing


@pytest.mark.parametrize(
    ("volume", "state", "seconds"),
    [
        ("persistentVolumeClaim", {"terminated": FETCHED}, 30),
        ("persistentVolumeClaim", {"running": {"startedAt": FETCHED["startedAt"]}}, 95),
        ("persistentVolumeClaim", {"waiting": {"reason": "PodInitializing"}}, 0),
        ("emptyDir", {"terminated": FETCHED}, 0),
    ],
)
def test_a_download_that_later_pods_are_spared_is_told_from_the_start_up(
    volume: str, state: dict[str, Any], seconds: float
) -> None:
    observation = observe_pod(fetching(volume, **state), CREATED_AT + 100)
    assert observation is not None
    assert observation.fetch_seconds == seconds
    assert observation.startup_seconds == (40 if "terminated" in state else None)


def test_a_gpu_of_a_sidecar_is_one_of_the_pod_and_one_of_a_container_that_ends_is_not() -> None:
    wants = {"resources": {"limits": {"nvidia.com/gpu": 1}}}

    def spec(**init: Any) -> Any:
        return {"template": {"spec": {"containers": [{}], "initContainers": [{**wants, **init}]}}}

    assert asks_for_gpu(spec(restartPolicy="Always"))
    assert not asks_for_gpu(spec())


@pytest.mark.parametrize(("text", "cost"), [("-5", -5), ("12", 12), ("much", 0)])
def test_a_deletion_cost_is_read_as_kubernetes_does(text: str, cost: int) -> None:
    assert deletion_cost(pod(meta={"annotations": {DELETION_COST: text}})) == cost
    assert deletion_cost(pod()) == 0


def test_a_selector_becomes_the_text_of_a_query() -> None:
    selector = {
        "matchLabels": {"app": "worker", "tier": "gpu"},
        "matchExpressions": [
            {"key": "zone", "operator": "In", "values": ["a", "b"]},
            {"key": "old", "operator": "DoesNotExist"},
            {"key": "new", "operator": "Exists"},
            {"key": "env", "operator": "NotIn", "values": ["test"]},
        ],
    }
    assert selector_text(selector) == "app=worker,tier=gpu,zone in (a,b),!old,new,env notin (test)"


def test_paths_are_those_of_the_api() -> None:
    assert path("api/v1", "asr", "pods") == "/api/v1/namespaces/asr/pods"
    assert (
        path("apis/apps/v1", "asr", "deployments", "w", "scale")
        == "/apis/apps/v1/namespaces/asr/deployments/w/scale"
    )


def test_a_worker_belongs_to_its_pod_also_where_a_pod_holds_several() -> None:
    pods = Pods(observed=(), costs={"worker-5c9f-ab123": 0, "stateful-2": 0})
    assert pod_of("worker-5c9f-ab123", pods) == "worker-5c9f-ab123"
    assert pod_of("worker-5c9f-ab123-2", pods) == "worker-5c9f-ab123"
    assert pod_of("stateful-2", pods) == "stateful-2"


def test_the_older_of_two_pools_comes_first() -> None:
    old, young = (
        Claimant("2026-01-01T00:00:00Z", "b", "z"),
        Claimant("2026-01-01T00:00:01Z", "a", "a"),
    )
    assert sorted([young, old])[0] is old
    same = Claimant("2026-01-01T00:00:00Z", "a", "z")
    assert sorted([old, same])[0] is same

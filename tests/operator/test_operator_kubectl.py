"""What a person reads with kubectl: the texts of a pool in each state, and its events."""

from __future__ import annotations

import re

import pytest

from asr_operator.reconcile.reconciler import PoolReconciler
from cluster_lab import Scene

pytestmark = pytest.mark.asyncio
# 20 tasks are 200 s of work.
SCALING = {"maxReplicas": 3}
WORK = {"throughput": 1, "scaling": SCALING}


async def row(scene: Scene) -> dict[str, str]:
    """`kubectl get wp gpu`, by column."""
    head, line = (await scene.kubectl("get", "wp", "gpu")).rstrip().splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", head)]
    ends = [*starts[1:], None]
    parts = zip(starts, ends, strict=True)
    columns = {head[start:end].strip(): line[start:end].strip() for start, end in parts}
    assert re.fullmatch(r"\d+s", columns.pop("AGE"))
    return columns


async def described(scene: Scene) -> tuple[dict[str, tuple[str, str, str]], list[str]]:
    """Of `kubectl describe wp gpu`: the conditions as status, reason and message, and the events
    as type, reason and message, sorted."""
    text = await scene.kubectl("describe", "wp", "gpu")
    fields = r"Message: +(.*)\n +Observed.*\n +Reason: +(.*)\n +Status: +(.*)\n +Type: +(.*)\n"
    conditions = {kind: (status, why, note) for note, why, status, kind in re.findall(fields, text)}
    listed = text.partition("\nEvents:")[2].splitlines()[3:]
    words = [re.split(r" {2,}", line.strip(), maxsplit=4) for line in listed]
    assert all(each[3] == "asr-platform.dev/operator" for each in words)
    return conditions, sorted(f"{each[0]} {each[1]}: {each[4]}" for each in words)


async def ready(scene: Scene, loop: PoolReconciler, reason: str) -> dict[str, str]:
    """The row, once Ready has this reason."""

    async def is_reported() -> bool:
        await loop.tick()
        return (await scene.condition("Ready"))[1] == reason

    await scene.until(is_reported, what=reason)
    return await row(scene)


async def test_a_fresh_install_has_no_warning(scene: Scene, loop: PoolReconciler) -> None:
    await scene.deployment()
    await scene.pool(scaling=SCALING)
    await loop.tick()
    await ready(scene, loop, "Steady")
    assert await row(scene) == {
        "NAME": "gpu", "TARGET": "asr-worker", "REPLICAS": "0", "DESIRED": "0", "WAITING": "0",
        "INFLIGHT": "0", "OLDESTWAIT": "0", "READY": "True", "REASON": "Steady",
    }  # fmt: skip
    _, events = await described(scene)
    assert events == [
        "Normal HoldUntrusted: Redis was first seen less than one task lease ago (new, or failed "
        "over): what is in flight is not known yet, replicas stay as they are",
        "Normal Steady: no task waits, 0 in flight, 0 backing off",
    ]


async def test_a_pool_at_its_maximum_shows_what_the_work_asks_for(
    scene: Scene, loop: PoolReconciler
) -> None:
    scene.pods_run = False
    await scene.deployment(3)
    await scene.pool(**WORK)
    await scene.submit(20)
    columns = await ready(scene, loop, "Steady")
    assert (columns["REPLICAS"], columns["READY"], columns["WAITING"]) == ("3", "True", "20")
    assert int(columns["DESIRED"]) > 3
    conditions, _ = await described(scene)
    assert conditions["ScalingLimited"] == (
        "True",
        "TooManyReplicas",
        f"the work asks for {columns['DESIRED']} workers, maxReplicas is 3",
    )
    assert conditions["Ready"][2].endswith("; maxReplicas is 3")


async def test_an_autoscaler_is_one_warning(scene: Scene, loop: PoolReconciler) -> None:
    await scene.deployment()
    await scene.admin.autoscaler(scene.namespace, "asr-worker")
    await scene.pool(scaling=SCALING)
    columns = await ready(scene, loop, "HoldConflict")
    await loop.tick()
    assert (columns["READY"], columns["REASON"]) == ("False", "HoldConflict")
    conditions, events = await described(scene)
    cause = (
        "HorizontalPodAutoscaler asr-worker-hpa scales Deployment 'asr-worker' as well: delete it, "
        "or this WorkerPool"
    )
    assert [each for each in events if each.startswith("Warning")] == [
        f"Warning HorizontalPodAutoscaler: {cause}"
    ]
    assert conditions["Conflict"] == ("True", "HorizontalPodAutoscaler", cause)
    assert conditions["Ready"] == ("False", "HoldConflict", cause)


async def test_a_redis_that_is_away_is_one_warning(scene: Scene, loop: PoolReconciler) -> None:
    await scene.deployment()
    await scene.pool(scaling=SCALING)
    await ready(scene, loop, "Steady")
    scene.redis.kill()
    columns = await ready(scene, loop, "HoldSignal")
    await loop.tick()
    assert (columns["READY"], columns["REPLICAS"]) == ("False", "0")
    conditions, events = await described(scene)
    (warning,) = (each for each in events if each.startswith("Warning"))
    assert warning.startswith("Warning QueueUnreachable: the queue cannot be read: Redis")
    assert conditions["ScalingLimited"][:2] == ("Unknown", "QueueUnreachable")


async def test_pods_that_are_given_up_are_named_as_the_reason(
    scene: Scene, loop: PoolReconciler
) -> None:
    if not scene.kubelet.plays:
        pytest.skip("a real cluster has the nodes it has")
    scene.kubelet.capacity, scene.pods_run = 1, False
    await scene.deployment(3)
    await scene.pool(**{**WORK, "scaling": {**SCALING, "unschedulableTimeoutSeconds": 0}})
    await scene.submit(20)

    async def are_given_up() -> bool:
        await loop.tick()
        return await scene.replicas() == 1

    await scene.until(are_given_up, what="two pods given up")
    _, events = await described(scene)
    warnings = [each for each in events if each.startswith("Warning")]
    assert [each.partition(":")[0] for each in warnings] == ["Warning Unschedulable"]
    (step,) = (each for each in events if re.search(r": \d to \d: ", each))
    assert step.startswith(
        "Normal GiveUpUnschedulable: 3 to 1: 2 pods could not be scheduled for over 0 s and are "
        "given up; more are tried again in 60 s; 20 waiting, 0 in flight"
    )
    assert (await ready(scene, loop, "HoldCapacity"))["READY"] == "False"


async def test_a_second_cause_is_told_after_the_first(scene: Scene, loop: PoolReconciler) -> None:
    """No Deployment; then one, but no Secret with the URL of its Redis."""
    await scene.pool(scaling=SCALING)
    columns = await ready(scene, loop, "TargetNotFound")
    assert (columns["READY"], columns["REPLICAS"], columns["DESIRED"]) == ("False", "", "")
    await scene.deployment()
    await scene.change_pool(redis={"urlSecretRef": {"name": "later", "key": "url"}})
    await ready(scene, loop, "HoldSignal")
    _, events = await described(scene)
    first, second = (each for each in events if each.startswith("Warning"))
    assert "Warning TargetNotFound: Deployment 'asr-worker' was not found" in (first, second)
    assert any("Warning QueueUnreachable: the queue cannot be read" in e for e in (first, second))


async def test_what_was_stored_and_means_nothing_is_told(
    scene: Scene, loop: PoolReconciler
) -> None:
    if scene.fake is None:
        pytest.skip("a real API server stores no such object any more")
    await scene.deployment(2)
    await scene.pool(scaling=SCALING)
    stored = scene.fake.store["workerpools", scene.namespace, "gpu"]
    stored["spec"]["scaling"]["pausedReplicas"] = 1
    await ready(scene, loop, "Steady")
    conditions, events = await described(scene)
    words = "spec.scaling.pausedReplicas needs spec.scaling.paused: true: ignored"
    assert conditions["FieldIgnored"] == ("True", "NeedsPaused", words)
    assert f"Warning NeedsPaused: {words}" in events

"""Replicas through everything an installer does: install, upgrade, rollback, apply again."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.cluster
UNDO = {3: "--atomic", 4: "--rollback-on-failure"}
# Values that change objects of the release, and no pod template of the workers.
CHANGED = ("--set", "api.graceSeconds=26,monitoring.rules.targetWaitSeconds=301")


def wait(release: Any) -> tuple[str, ...]:
    return ("--wait", UNDO[release.helm.major], "--timeout", "90s")


def installed(release: Any, *arguments: str) -> None:
    release.run("install", *wait(release), *arguments)
    release.start_operator()
    release.until(release.is_started, "the workers' Deployment started")


def test_a_first_install_is_ready_without_a_gpu_and_starts_at_min_replicas(release: Any) -> None:
    """The operator comes late here: when helm is done there is not even a pool."""
    release.run("install", *wait(release))
    assert "STATUS: deployed" in release.plain("status", "asr", "-n", release.namespace)
    assert release.pods("worker") == set()
    label = "app.kubernetes.io/component=worker"
    assert release.kubectl("get", "replicasets", "-l", label, "-o", "name") == ""
    release.start_operator()
    release.until(release.is_started, "the workers' Deployment started")
    assert release.replicas("worker-default") == 0
    sets = release.kubectl("get", "rs", "-l", label, "-o", "jsonpath={.items[*].spec.replicas}")
    assert sets == "0"
    assert release.pods("worker") == set()


def test_upgrade_and_rollback_leave_busy_workers_alone(release: Any) -> None:
    installed(release)
    busy = release.operator_sets(3)
    release.run("upgrade", *wait(release), *CHANGED)
    release.run("upgrade", *wait(release))
    release.plain("rollback", "asr", "2", "-n", release.namespace, "--wait", "--timeout", "90s")
    release.plain("rollback", "asr", "1", "-n", release.namespace, "--wait", "--timeout", "90s")
    release.until(release.is_started, "the pause of the first revision ended")
    assert release.replicas("worker-default") == 3
    assert release.pods("worker") == busy
    release.plain("uninstall", "asr", "-n", release.namespace, "--wait", "--timeout", "90s")
    release.until(lambda: release.kubectl("get", "wp", "-o", "name") == "", "its pools gone")


def test_an_upgrade_before_the_operator_has_come_starts_no_pod(release: Any) -> None:
    """The first try failed, say, for want of an image: the pause must outlive the second."""
    release.run("install")
    release.run("upgrade", *CHANGED)
    assert release.get("deployment", "asr-worker-default")["spec"]["paused"] is True
    assert release.pods("worker") == set()


def test_a_pool_that_an_upgrade_adds_starts_without_a_gpu_as_well(release: Any) -> None:
    installed(release)
    release.run("upgrade", *wait(release), "--set", "pools[0].name=default,pools[1].name=large")
    assert release.get("deployment", "asr-worker-large")["spec"]["paused"] is True
    assert release.is_started()
    assert release.pods("worker") == set()


@pytest.mark.parametrize("how", ["client", "server"])
def test_a_plain_apply_starts_at_none_and_applied_again_leaves_busy_workers_alone(
    release: Any, how: str
) -> None:
    flags = () if how == "client" else ("--server-side", "--field-manager=argocd-controller")
    release.apply(*flags, "--")
    release.start_operator()
    release.until(release.is_started, "the workers' Deployment started")
    assert release.replicas("worker-default") == 0
    busy = release.operator_sets(3)
    release.apply(*flags, "--")
    release.apply(*flags, "--", *CHANGED)
    release.until(release.is_started, "the pause ended again")
    assert release.replicas("worker-default") == 3
    assert release.pods("worker") == busy


def test_pools_can_become_objects_of_the_release_and_go_back(release: Any) -> None:
    installed(release)
    busy = release.operator_sets(2)
    release.run("upgrade", "--set", "operator.poolsAs=objects")
    release.run("upgrade")

    def is_back() -> bool:
        names = release.kubectl("get", "wp", "-o", "name").split()
        return names == ["workerpool.asr-platform.dev/asr-worker-default"]

    release.until(is_back, "the operator's pool again")
    assert release.replicas("worker-default") == 2
    assert release.pods("worker") == busy


def test_what_kubectl_scale_has_set_outlives_upgrades(release: Any) -> None:
    release.run("install")
    for part in ("api", "courier"):
        release.kubectl("scale", "deployment", f"asr-{part}", "--replicas=4")
        release.until(lambda part=part: len(release.pods(part)) == 4, f"four of {part}")
    before = release.pods("courier")
    changed = "monitoring.rules.targetWaitSeconds=301"
    release.run("upgrade", "--set", changed)
    release.run("upgrade", "--set", f"{changed},operator.leaseSeconds=20")
    assert (release.replicas("api"), release.replicas("courier")) == (4, 4)
    assert release.pods("courier") == before
    release.run("upgrade", "--set", "courier.replicas=4,api.replicas=4")
    assert (release.replicas("api"), release.replicas("courier")) == (4, 4)


@pytest.mark.parametrize("scaled", [True, False])
def test_switching_to_an_autoscaler_does_not_dip(release: Any, scaled: bool) -> None:
    release.run("install", "--set", "api.replicas=3")
    count = 3
    if scaled:
        count = 5
        release.kubectl("scale", "deployment", "asr-api", "--replicas=5")
    release.until(lambda: len(release.pods("api")) == count, "the APIs")
    before = release.pods("api")
    on = ("--set", "api.autoscaling.enabled=true,api.autoscaling.minReplicas=2")
    release.run("upgrade", *on)
    assert (release.replicas("api"), release.pods("api")) == (count, before)
    # As the autoscaler does: through the subresource, as another manager.
    release.kubectl("scale", "deployment", "asr-api", "--replicas=6")
    release.until(lambda: len(release.pods("api")) == 6, "six APIs")
    before = release.pods("api")
    for lease in (20, 21, 22):
        release.run("upgrade", *on, "--set", f"operator.leaseSeconds={lease}")
    assert (release.replicas("api"), release.pods("api")) == (6, before)

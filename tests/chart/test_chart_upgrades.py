"""Replicas through everything an installer does, by its own rules; helm renders with `lookup`.

The same on a real API server: tests/chart/installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr_operator.cluster.objects import STARTED_BY
from chart.live_objects import REPLICAS, Conflict, LiveDeployment, looked_up
from chart.tools import Helm

Json = dict[str, Any]
WORKER, API, COURIER = "asr-worker-default", "asr-api", "asr-courier"
# Little else: helm asks for each object.
_LEAN = (
    "store.type=s3,store.url=s3://b/p,crds.install=false,crds.assumeInstalled=true",
    "redis.enabled=false,redis.external.existingSecret=redis,tests.enabled=false",
    "networkPolicies.enabled=false,retention.enabled=false",
)
PAUSED, MARK = ("spec", "paused"), ("metadata", "annotations", STARTED_BY)


@dataclass
class Installer:
    """One of those that people use. `live` are the Deployments that are there."""

    kind: str
    helm: Helm
    chart: Path
    kubeconfig: Path
    live: dict[str, LiveDeployment]
    revisions: list[dict[str, Json]] = field(default_factory=list)

    @property
    def is_helm(self) -> bool:
        return self.kind.startswith("helm")

    def apply(self, *settings: str) -> None:
        """The first one installs, the next ones upgrade."""
        asked = ["template", "asr", str(self.chart), "-n", "speech"]
        asked += ["--set", ",".join((*_LEAN, *settings))]
        if self.is_helm:
            asked += ["--dry-run=server", "--disable-openapi-validation"]
            asked += ["--is-upgrade"] if self.revisions else []
        made = self.helm.run(*asked, kubeconfig=str(self.kubeconfig))
        assert made.returncode == 0, made.stderr
        found = [each for each in yaml.safe_load_all(made.stdout) if each]
        new = {e["metadata"]["name"]: e for e in found if e["kind"] == "Deployment"}
        self._bring(new)

    def roll_back(self, revision: int) -> None:
        self._bring(self.revisions[revision - 1])

    def _bring(self, new: dict[str, Json]) -> None:
        old = self.revisions[-1] if self.revisions else {}
        for name in (WORKER, API, COURIER):
            live, manifest = self.live.get(name) or LiveDeployment(name), new[name]
            if self.kind in ("helm 3", "kubectl apply"):
                live.merge_three_ways(old.get(name, manifest), manifest, self.kind)
            else:
                live.apply(manifest, self.kind, force=self.kind == "Argo CD, server-side")
            self.live[name] = live
        self.revisions.append(new)

    def operate(self, replicas: int | None = None) -> None:
        """What the operator does in its next tick: it starts a paused Deployment, and scales it."""
        worker = self.live[WORKER]
        if worker.values.get(PAUSED) and MARK in worker.values:
            at_first = {} if any(n != 1 for n in worker.seen) else {REPLICAS: 0}
            worker.write({PAUSED: None, MARK: None, **at_first}, "asr-operator")
        if replicas is not None:
            worker.scale(replicas, "asr-operator")


KINDS = ("helm 3", "helm 4", "kubectl apply", "Argo CD, server-side")


@pytest.fixture(params=KINDS)
def installer(
    request: pytest.FixtureRequest, helms: Callable[[int], Helm], chart_folder: Path, tmp_path: Path
) -> Iterator[Installer]:
    major = 3 if request.param == "helm 3" else 4
    live: dict[str, LiveDeployment] = {}
    with looked_up(live, tmp_path) as kubeconfig:
        yield Installer(request.param, helms(major), chart_folder, kubeconfig, live)


def test_nothing_starts_a_worker_before_the_operator_or_takes_one_after(
    installer: Installer,
) -> None:
    installer.apply()
    worker = installer.live[WORKER]
    assert worker.values[PAUSED] is True  # one replica by default, and no pod of it
    installer.apply("logLevel=DEBUG")  # the operator has not come yet
    assert worker.values[PAUSED] is True
    installer.operate()
    assert worker.values[REPLICAS] == 0
    installer.operate(5)
    busy = len(worker.seen)
    for settings in ("logLevel=INFO", "logLevel=DEBUG"):
        installer.apply(settings)
        installer.operate()
        assert PAUSED not in worker.values
    for revision in (3, 1, 2):
        installer.roll_back(revision)
        installer.operate()
        assert PAUSED not in worker.values
    assert set(worker.seen[busy:]) == {5}


def test_what_was_scaled_by_hand_outlives_upgrades(installer: Installer) -> None:
    if not installer.is_helm:
        pytest.skip("a renderer sees no cluster: it applies what git says")
    installer.apply()
    api, courier = installer.live[API], installer.live[COURIER]
    assert (api.values[REPLICAS], courier.values[REPLICAS]) == (2, 1)
    api.scale(5, "kubectl")
    courier.scale(3, "kubectl")
    at_load = len(api.seen)
    for level in ("DEBUG", "INFO"):
        installer.apply(f"logLevel={level}")
    assert set(api.seen[at_load:]) == {5}
    assert courier.values[REPLICAS] == 3


def test_a_value_that_changes_is_applied(installer: Installer) -> None:
    installer.apply("api.replicas=3")
    installer.apply("api.replicas=4")
    assert installer.live[API].values[REPLICAS] == 4
    installer.apply()
    assert installer.live[API].values[REPLICAS] == 2


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_switch_to_an_autoscaler_neither_conflicts_nor_dips(
    installer: Installer, by_hand: bool
) -> None:
    if not installer.is_helm:
        pytest.skip("a renderer sees no cluster; docs/kubernetes.md says how")
    on = "api.autoscaling.enabled=true"
    installer.apply("api.replicas=4")
    api = installer.live[API]
    if by_hand:
        api.scale(6, "kubectl")
    before = len(api.seen)
    installer.apply(on)
    installer.apply(on, "logLevel=DEBUG")  # the autoscaler has not had to do anything yet
    assert set(api.seen[before:]) <= {6 if by_hand else 4}
    api.scale(9, "kube-controller-manager")
    before = len(api.seen)
    for level in ("INFO", "DEBUG"):
        installer.apply(on, f"logLevel={level}")
    assert set(api.seen[before:]) == {9}
    if installer.kind == "helm 4":  # from now on each change of the autoscaler's would conflict
        assert "replicas" not in installer.revisions[-1][API]["spec"]
        installer.roll_back(len(installer.revisions) - 1)
    assert api.values[REPLICAS] == 9


def test_an_autoscaler_from_the_first_day_owns_the_replicas(installer: Installer) -> None:
    for level in ("INFO", "DEBUG"):
        installer.apply("api.autoscaling.enabled=true", f"logLevel={level}")
        assert "replicas" not in installer.revisions[-1][API]["spec"]
        installer.live[API].scale(7, "kube-controller-manager")
    assert installer.live[API].values[REPLICAS] == 7


@pytest.mark.parametrize("kind", ["helm 3", "helm 4"])
def test_the_old_ways_would_be_noticed(kind: str) -> None:
    """Replicas in the first manifest only, or in each: both take workers that the operator set."""

    def manifest(**spec: Any) -> Json:
        return {"metadata": {}, "spec": spec}

    for second in (manifest(), manifest(replicas=0)):
        live = LiveDeployment("w")
        if kind == "helm 3":
            live.merge_three_ways(manifest(replicas=0), manifest(replicas=0))
            live.scale(5, "asr-operator")
            live.merge_three_ways(manifest(replicas=0), second)
            assert live.values[REPLICAS] in (0, 1)
        else:
            live.apply(manifest(replicas=0), "helm")
            live.scale(5, "asr-operator")
            if "replicas" in second["spec"]:
                with pytest.raises(Conflict, match=r"spec\.replicas"):
                    live.apply(second, "helm")
    alone = LiveDeployment("w")
    alone.apply(manifest(replicas=4), "helm")
    alone.apply(manifest(), "helm")
    assert alone.values[REPLICAS] == 1

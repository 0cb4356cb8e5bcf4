"""The peers' formulas: golden cases, computed by hand from the sources that the modules cite."""

from __future__ import annotations

import pytest

from asr_operator.simulate.cluster import Cluster
from asr_operator.simulate.hpa import Hpa, average_value_replicas
from asr_operator.simulate.keda import Keda
from asr_operator.simulate.knative import Kpa, desired_pods
from asr_operator.simulate.model import ClusterModel, Pod
from asr_operator.simulate.trace import Trace


def cluster_with(waiting: int = 0, in_flight: int = 0, replicas: int = 0) -> Cluster:
    """A cluster that stands still."""
    cluster = Cluster(Trace("still", 1e6, (0.0,) * waiting, (60.0,) * waiting), ClusterModel())
    cluster.queue.extend(range(waiting))
    cluster.in_flight, cluster.replicas = in_flight, replicas
    cluster.pods = [Pod(f"pod-{n}", 0.0, 0.0, 0.0) for n in range(replicas)]
    return cluster


@pytest.mark.parametrize(
    ("metric", "target", "replicas", "expected"),
    [
        (10, 5, 1, 2),
        (21, 10, 2, 2),  # 1.05 times the target: within the tolerance of a tenth
        (12, 5, 2, 3),
        (19, 10, 2, 2),  # 0.95 times
        (8, 5, 2, 2),  # 0.8 times: ceil(8 / 5)
        (5, 5, 2, 1),
        (0, 5, 4, 0),
        (101, 10, 10, 10),
    ],
)
def test_an_average_value_is_divided_by_its_target_and_rounded_up(
    metric: float, target: float, replicas: int, expected: int
) -> None:
    assert average_value_replicas(metric, target, replicas) == expected


def test_the_hpa_adds_four_pods_or_doubles_in_fifteen_seconds() -> None:
    hpa = Hpa(1, least=1, most=100)
    assert hpa.sync(0.0, 50, 1) == 5
    assert hpa.sync(5.0, 50, 5) == 5, "the period is used up"
    assert hpa.sync(15.0, 50, 5) == 10
    assert hpa.sync(30.0, 50, 10) == 20


def test_the_hpa_takes_the_highest_recommendation_of_its_down_window() -> None:
    hpa = Hpa(1, least=1, most=100, down_seconds=300)
    assert hpa.sync(0.0, 8, 8) == 8
    assert hpa.sync(15.0, 6, 8) == 8
    assert hpa.sync(300.0, 1, 8) == 8
    assert hpa.sync(301.0, 1, 8) == 6
    assert hpa.sync(316.0, 1, 6) == 1


def test_after_a_restart_the_hpa_begins_with_what_there_is() -> None:
    hpa = Hpa(1, least=1, most=100)
    hpa.sync(0.0, 9, 9)
    hpa.restart()
    assert hpa.sync(15.0, 1, 9) == 9


def test_zero_replicas_disable_the_hpa() -> None:
    assert Hpa(1, least=1, most=9).sync(0.0, 50, 0) == 0


def test_keda_wakes_one_and_lets_the_hpa_do_the_rest() -> None:
    keda = Keda("lag", 2, most=8, polling_seconds=5)
    cluster = cluster_with(waiting=10)
    cluster.now = 5.0
    assert keda.decide(cluster).replicas == 5, "one by KEDA, then five by the HPA: one and four"


def test_keda_on_lag_falls_to_zero_after_its_cooldown_whatever_is_in_flight() -> None:
    """https://github.com/kedacore/keda/issues/7368"""
    lag = Keda("lag", 2, most=8, cooldown_seconds=60, polling_seconds=5)
    length = Keda("length", 2, most=8, cooldown_seconds=60, polling_seconds=5)
    for keda, expected in ((lag, 0), (length, 1)):
        active = cluster_with(waiting=1, in_flight=1, replicas=1)
        assert keda.decide(active).replicas >= 1
        idle = cluster_with(in_flight=1, replicas=1)
        idle.now = 60.0
        assert keda.decide(idle).replicas == 1
        idle.now = 65.1
        assert keda.decide(idle).replicas == expected


@pytest.mark.parametrize(
    ("average", "target", "ready", "expected"),
    [
        (10.0, 5.0, 2, 2),
        (10.1, 5.0, 2, 3),
        (0.0, 5.0, 8, 4),  # halved at most
        (0.0, 5.0, 1, 0),
        (0.0, 5.0, 0, 0),
        (9000.0, 1.0, 1, 1000),  # a thousandfold at most
    ],
)
def test_the_kpa_divides_by_its_target_within_its_rates(
    average: float, target: float, ready: int, expected: int
) -> None:
    assert desired_pods(average, target, ready) == expected


def test_the_kpa_panics_at_twice_the_ready_pods_and_never_goes_down_in_panic() -> None:
    kpa = Kpa(5, most=100, stable_seconds=60)
    cluster = cluster_with(waiting=0, replicas=2)
    totals = {0.0: 0.0, 2.0: 2 * 40.0, 4.0: 4 * 40.0, 6.0: 6 * 40.0}
    wanted = []
    for cluster.now, cluster.concurrency_seconds in totals.items():
        wanted.append(kpa.decide(cluster).replicas)
    assert wanted[-1] == 8, "40 at a time, five each"
    cluster.now = 30.0
    assert kpa.decide(cluster).replicas == 8, "nothing came since, and it stays"
    cluster.now = 100.0
    assert kpa.decide(cluster).replicas < 8


def test_the_kpa_panics_after_a_restart_with_what_is_ready() -> None:
    kpa = Kpa(5, most=100)
    cluster = cluster_with(replicas=6)
    kpa.restart(cluster)
    assert kpa.decide(cluster).replicas == 6

"""The order in which pods are removed, and their deletion costs."""

from __future__ import annotations

from asr_operator.planning.observation import PodObservation, PodState, WorkerObservation
from asr_operator.planning.scale_down_order import candidates, deletion_costs


def worker(pod: str, busy: int = 0, seconds: float = 0.0, **more: object) -> WorkerObservation:
    return WorkerObservation(f"{pod}.x", pod, busy, 8, seconds, 10.0, **more)  # type: ignore[arg-type]


def ready(*names: str) -> list[PodObservation]:
    return [PodObservation(name, PodState.READY, 100.0, 20.0) for name in names]


def names(workers: list[WorkerObservation], pods: list[PodObservation]) -> list[str]:
    return [each.pod for each in candidates(workers, pods)]


def test_without_a_node_then_starting_then_idle_then_the_least_work_in_hand() -> None:
    pods = [
        *ready("much", "little", "idle"),
        PodObservation("starting", PodState.STARTING),
        PodObservation("nodeless", PodState.UNSCHEDULABLE),
    ]
    workers = [worker("much", 1, 900.0), worker("little", 3, 5.0), worker("idle")]
    assert names(workers, pods) == ["nodeless", "starting", "idle", "little", "much"]


def test_one_that_is_cordoned_already_goes_before_other_idle_ones() -> None:
    workers = [worker("a"), worker("b", cordoned=True)]
    assert names(workers, ready("a", "b")) == ["b", "a"]


def test_of_equal_ones_the_youngest_goes_as_the_controller_would_have_it() -> None:
    pods = [
        PodObservation("old", PodState.READY, 900.0),
        PodObservation("young", PodState.READY, 90.0),
    ]
    assert names([worker("old"), worker("young")], pods) == ["young", "old"]


def test_a_pod_is_busy_if_one_of_its_workers_is() -> None:
    workers = [worker("two"), WorkerObservation("two.y", "two", 1, 8, 60.0), worker("one")]
    first, second = candidates(workers, ready("two", "one"))
    assert (first.pod, first.is_idle) == ("one", True)
    assert (second.consumers, second.is_idle) == (("two.x", "two.y"), False)


def test_a_pod_that_nobody_hears_goes_after_those_that_are_known_to_be_idle() -> None:
    assert names([worker("idle")], ready("silent", "idle")) == ["idle", "silent"]


def test_only_a_ready_pod_without_a_task_and_with_a_voice_is_idle() -> None:
    pods = [*ready("busy", "idle", "silent"), PodObservation("starting", PodState.STARTING)]
    found = {each.pod: each for each in candidates([worker("busy", 1), worker("idle")], pods)}
    idle = {name: each.is_idle for name, each in found.items()}
    assert idle == {"busy": False, "idle": True, "silent": False, "starting": True}
    assert [name for name, each in found.items() if each.is_silent] == ["silent"]


def test_a_pod_with_a_task_goes_after_idle_ones_whatever_the_cluster_says_of_it() -> None:
    """It was ready once, and a failing probe does not take its task from it."""
    for state in (PodState.STARTING, PodState.UNSCHEDULABLE):
        pods = [PodObservation("odd", state), *ready("idle")]
        assert names([worker("odd", 1, 5.0), worker("idle")], pods) == ["idle", "odd"]


def test_what_an_idle_worker_says_it_holds_does_not_count() -> None:
    pods = [
        PodObservation("old", PodState.READY, 900.0),
        PodObservation("young", PodState.READY, 90.0),
    ]
    workers = [worker("old"), worker("young", 0, 300.0)]
    assert names(workers, pods) == ["young", "old"]
    assert names([worker("old", -1, 0.0), worker("young")], pods) == ["young", "old"]


def test_busy_workers_go_by_all_that_their_pod_holds() -> None:
    workers = [
        worker("a", 1, 40.0),
        WorkerObservation("a.y", "a", 1, 8, 40.0),
        worker("b", 1, 60.0),
    ]
    assert names(workers, ready("a", "b")) == ["b", "a"]


def test_pods_that_end_already_are_no_candidates_and_unlisted_workers_are() -> None:
    pods = [PodObservation("gone", PodState.TERMINATING)]
    assert names([worker("gone", 1), worker("elsewhere", 1)], pods) == ["elsewhere"]


def test_costs_rise_with_the_work_in_hand_and_fit_the_annotation() -> None:
    workers = [worker("a", 1, 20.5), worker("b", 1, 1e30), worker("c"), worker("d")]
    costs = dict(deletion_costs(candidates(workers, ready("a", "b", "c", "d")), removed=1))
    assert costs == {"c": 0, "d": 1, "a": 31, "b": 2**31 - 1}


def test_a_silent_pod_costs_more_than_an_idle_one_even_as_a_victim() -> None:
    ordered = candidates([worker("idle")], ready("idle", "silent"))
    assert dict(deletion_costs(ordered, removed=2)) == {"idle": 0, "silent": 10}

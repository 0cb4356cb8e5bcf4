"""The model of a cluster, on traces that are small enough to follow by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

import pytest

from asr_operator.planning.spec import PoolSpec
from asr_operator.simulate.cluster import Cluster
from asr_operator.simulate.model import ClusterModel, Decision, Faults
from asr_operator.simulate.ours import Ours
from asr_operator.simulate.outcome import Scenario, reversals, run, waits
from asr_operator.simulate.static import Static
from asr_operator.simulate.trace import Trace

PoolOf = Callable[..., PoolSpec]
STEADY = ClusterModel(throughput=10.0, startup_seconds=20.0, startup_jitter=0.0)


def trace(*tasks: tuple[float, float], seconds: float = 300.0) -> Trace:
    """(arrival, seconds that it takes one worker)."""
    return Trace("by hand", seconds, tuple(a for a, _ in tasks), tuple(10.0 * s for _, s in tasks))


@dataclass
class Script:
    """Replicas from a moment on; every second."""

    steps: Sequence[tuple[float, int]]
    name: str = "script"
    period_seconds: float = 1.0
    restarted_at: list[float] = field(default_factory=list)

    def decide(self, cluster: Cluster) -> Decision:
        return Decision([n for at, n in self.steps if at <= cluster.now][-1])

    def restart(self, cluster: Cluster) -> None:
        self.restarted_at.append(cluster.now)


def test_a_task_waits_for_a_worker_that_starts() -> None:
    cluster = Cluster(trace((0.0, 10.0), (5.0, 10.0)), STEADY)
    cluster.run(Static(1))
    assert waits(cluster) == [20.0, 25.0]
    assert cluster.busy_seconds == 20.0
    assert cluster.billed == 300.0


def test_a_worker_is_billed_from_its_node_to_its_end() -> None:
    cluster = Cluster(trace((0.0, 10.0)), STEADY)
    cluster.run(Script([(0.0, 0), (5.0, 1), (100.0, 0)]))
    assert cluster.billed == 95.0


def test_no_more_run_than_there_are_gpus() -> None:
    cluster = Cluster(
        trace((0.0, 10.0), (0.0, 10.0)),
        ClusterModel(throughput=10.0, startup_seconds=20.0, startup_jitter=0.0, gpus=1),
    )
    cluster.run(Static(2))
    assert waits(cluster) == [20.0, 30.0]
    assert sum(pod.scheduled_at == inf for pod in cluster.pods) == 1


@pytest.mark.parametrize(
    ("drain", "seconds", "killed", "wait"),
    [
        (True, 20.0, 0, 20.0),  # finishes within its grace
        (True, 100.0, 1, 80.0),  # handed back at 40, begun by the next worker at 80
        (False, 20.0, 1, 80.0),  # killed at 30, back after its lease, at 60
    ],
)
def test_a_worker_that_is_taken_finishes_or_gives_back(
    drain: bool, seconds: float, killed: int, wait: float
) -> None:
    model = ClusterModel(
        throughput=10.0, startup_seconds=20.0, startup_jitter=0.0, grace_seconds=30.0, drain=drain
    )
    taken_at = 40.0 if seconds == 100.0 else 30.0
    cluster = Cluster(trace((0.0, seconds)), model)
    cluster.run(Script([(0.0, 1), (taken_at, 0), (60.0, 1)]))
    assert cluster.killed == killed
    assert waits(cluster) == [wait]
    assert cluster.done == 1


def test_starting_workers_go_first_then_by_cost_then_the_youngest() -> None:
    cluster = Cluster(trace((299.0, 1.0)), STEADY)
    present: dict[float, list[str]] = {}

    class Watch(Script):
        def decide(self, watched: Cluster) -> Decision:
            present[watched.now] = [pod.name for pod in watched.pods]
            costs = {name: cost for cost, name in enumerate(present[watched.now])}
            return Decision(super().decide(watched).replicas, costs)

    cluster.run(
        Watch([(0.0, 1), (10.0, 2), (20.0, 3), (100.0, 4), (105.0, 3), (130.0, 2), (140.0, 1)])
    )
    first, second, third = present[90.0]
    assert present[106.0] == [first, second, third], "the one that was starting is gone"
    assert present[131.0] == [second, third], "the one of the lowest cost is gone"
    assert present[141.0] == [third]


def test_of_equal_cost_the_youngest_goes() -> None:
    cluster = Cluster(trace((299.0, 1.0)), STEADY)
    cluster.run(Script([(0.0, 1), (10.0, 2), (100.0, 1)]))
    assert [pod.created_at for pod in cluster.pods] == [0.0]


def test_redis_away_means_no_claims_and_no_arrivals() -> None:
    cluster = Cluster(trace((0.0, 1.0), (50.0, 1.0)), STEADY, Faults(outages=((30.0, 90.0),)))
    cluster.run(Static(1))
    assert cluster.queued_at[1] == 90.0
    assert waits(cluster) == [20.0, 0.0]


def test_a_restart_reaches_the_policy_at_its_time() -> None:
    script = Script([(0.0, 1)])
    Cluster(trace((0.0, 1.0)), STEADY, Faults(restarts=(40.0,))).run(script)
    assert script.restarted_at == [40.0]


def test_a_policy_that_never_serves_a_task_is_given_up() -> None:
    outcome = run(Scenario(trace((0.0, 1.0)), STEADY), Static(0))
    assert (outcome.unfinished, outcome.over) == (1, 1.0)


def test_reversals_are_turns_of_direction() -> None:
    assert reversals([1, 2, 4, 3, 2, 5]) == 2
    assert reversals([]) == reversals([3]) == 0


def test_the_plan_serves_a_task_from_zero_and_goes_back_to_zero(pool_of: PoolOf) -> None:
    cluster = Cluster(trace((10.0, 5.0)), STEADY)
    cluster.run(Ours(pool_of()))
    assert waits(cluster) == [20.0]
    assert cluster.replicas == 0
    assert cluster.billed < 60


def test_the_plan_takes_no_worker_with_a_task(pool_of: PoolOf) -> None:
    tasks = [(float(n), 3.0 + n % 40) for n in range(200)]
    outcome = run(Scenario(trace(*tasks, seconds=3600.0), STEADY), Ours(pool_of()))
    assert (outcome.killed, outcome.unfinished) == (0, 0)


def test_a_restart_of_the_operator_at_load_moves_nothing_down(pool_of: PoolOf) -> None:
    tasks = [(n / 2, 3.0) for n in range(1200)]
    calm = Cluster(trace(*tasks, seconds=600.0), STEADY)
    calm.run(Ours(pool_of()))
    restarts = tuple(float(at) for at in range(100, 500, 7))
    shaken = Cluster(trace(*tasks, seconds=600.0), STEADY, Faults(restarts=restarts))
    shaken.run(Ours(pool_of()))
    within = [
        (before, after)
        for (_, before), (at, after) in zip(shaken.changes, shaken.changes[1:], strict=False)
        if 100 <= at <= 500
    ]
    assert all(after > before for before, after in within), "a window of ten seconds never passes"


def test_an_outage_moves_nothing(pool_of: PoolOf) -> None:
    tasks = [(n / 2, 3.0) for n in range(1200)]
    cluster = Cluster(trace(*tasks, seconds=900.0), STEADY, Faults(outages=((200.0, 260.0),)))
    cluster.run(Ours(pool_of()))
    assert not [at for at, _ in cluster.changes if 202 <= at < 290], "nor in the lease after it"
    assert cluster.done == len(tasks)

"""All policies side by side: small traces, and one of the five shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asr_operator.simulate.comparison import OURS, POLICIES, Entry, compare, thresholds
from asr_operator.simulate.model import ClusterModel
from asr_operator.simulate.oracle import Oracle, best_schedule
from asr_operator.simulate.ours import Ours
from asr_operator.simulate.outcome import Outcome, Scenario, run, work_hours
from asr_operator.simulate.picture import draw, sample_seconds
from asr_operator.simulate.report import COLUMNS, as_data, judgements, row
from asr_operator.simulate.shapes import Workload, generate
from asr_operator.simulate.trace import Trace
from asr_operator.spec import PoolSpec

PoolOf = Callable[..., PoolSpec]


def cut(trace: Trace, seconds: float) -> Trace:
    """The beginning of a trace."""
    count = sum(at < seconds for at in trace.arrivals)
    return Trace(trace.name, seconds, trace.arrivals[:count], trace.audio_seconds[:count])


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario(cut(generate("burst"), 2400.0), ClusterModel())


@pytest.fixture(scope="module")
def entries(scenario: Scenario, pool_of: PoolOf) -> list[Entry]:
    return list(compare(scenario, pool_of(), sample_seconds=30.0))


def test_every_policy_serves_every_task(entries: list[Entry], scenario: Scenario) -> None:
    assert [entry.policy for entry in entries] == list(POLICIES)
    for entry in entries:
        assert entry.outcome.unfinished == 0
        assert entry.outcome.billed_hours >= entry.outcome.busy_hours
        assert entry.outcome.busy_hours >= work_hours(scenario) - 1e-9


def test_the_same_comparison_again_is_the_same(
    entries: list[Entry], scenario: Scenario, pool_of: PoolOf
) -> None:
    again = list(compare(scenario, pool_of(), policies=("Knative KPA",), sample_seconds=30.0))
    assert again == [entry for entry in entries if entry.policy == "Knative KPA"]


def test_a_peer_is_given_its_cheapest_setting_that_keeps_the_objective(
    scenario: Scenario, pool_of: PoolOf
) -> None:
    def static(objective: float) -> str:
        (entry,) = compare(scenario, pool_of(), objective=objective, policies=("static",))
        return entry.setting

    assert int(static(0.0).split()[0]) > int(static(0.5).split()[0])


def test_thresholds_follow_how_many_tasks_fit_the_target(scenario: Scenario) -> None:
    assert thresholds(scenario)[0] == 1
    assert thresholds(replace(scenario, target_seconds=600.0))[-1] > 50


def test_nobody_is_cheaper_than_the_oracle_and_as_punctual(entries: list[Entry]) -> None:
    outcomes = {entry.policy: entry.outcome for entry in entries}
    best = outcomes.pop("oracle")
    assert all(
        other.billed_hours > best.billed_hours or other.over > best.over
        for other in outcomes.values()
    )


def test_the_oracle_starts_a_worker_before_its_work_comes() -> None:
    trace = Trace("one", 600.0, (300.0,), (100.0,))
    model = ClusterModel(throughput=10.0, startup_seconds=60.0, startup_jitter=0.0)
    schedule = best_schedule(trace, model, most=4, within_seconds=5.0)
    outcome = run(Scenario(trace, model, target_seconds=5.0), Oracle(schedule, most=4))
    assert outcome.over == 0
    assert outcome.billed_hours * 3600 < 100


@pytest.mark.parametrize("shape", ["step", "burst"])
def test_the_plan_is_punctual_and_within_a_quarter_of_the_oracle(
    shape: str, pool_of: PoolOf
) -> None:
    scenario = Scenario(generate(shape), ClusterModel())
    ours, best = compare(scenario, pool_of(), policies=(OURS, "oracle"))
    assert ours.outcome.over <= 0.001
    assert ours.outcome.killed == 0
    assert ours.outcome.billed_hours <= 1.25 * best.outcome.billed_hours


def test_three_minutes_of_start_up_do_not_ask_for_everything(pool_of: PoolOf) -> None:
    model = ClusterModel(startup_seconds=180.0)
    trace = cut(generate("step", Workload(scale=0.5)), 3600.0)
    outcome = run(Scenario(trace, model, max_replicas=60), Ours(pool_of(maxReplicas=60)))
    assert outcome.billed_hours < 4 * work_hours(Scenario(trace, model))


def entry(policy: str, over: float, hours: float) -> Entry:
    outcome = Outcome(100, 1.0, 2.0, 3.0, 4.0, over, hours, 1.0, 2, 0, 0)
    return Entry(policy, "as is", 1, outcome)


def test_judgements_say_what_is_lost_and_to_whom() -> None:
    told = judgements(
        [entry(OURS, 0.02, 5.0), entry("A", 0.0, 4.0), entry("B", 0.5, 1.0), entry("oracle", 0, 3)],
        objective=0.01,
    )
    assert told == [
        "no: share over target, 2.00%, is not above any peer's (A 0.00%)",
        "no: GPU-hours, 5.00, are below those of each of the 1 peers that keep 99% within the "
        "target (A 4.00)",
        "no: GPU-hours are +67% of the oracle's, within 25%",
    ]
    told = judgements([entry(OURS, 0.0, 3.3), entry("A", 0.0, 4.0), entry("oracle", 0, 3)], 0.01)
    assert [line.split(":")[0] for line in told] == ["yes", "yes", "yes"]
    assert judgements([entry("A", 0.0, 4.0)], 0.01) == []


def test_a_row_has_a_cell_for_every_column(entries: list[Entry]) -> None:
    assert all(len(row(entry)) == len(COLUMNS) for entry in entries)


def test_the_data_holds_what_is_needed_to_repeat_it(
    entries: list[Entry], scenario: Scenario
) -> None:
    data = as_data(scenario, entries, 0.01)
    assert data["model"]["startup_seconds"] == 30.0
    assert [each["policy"] for each in data["policies"]] == list(POLICIES)
    assert data["policies"][0]["p99"] == entries[0].outcome.p99
    assert "samples" not in data["policies"][0]


def test_a_picture_is_drawn(entries: list[Entry], scenario: Scenario, tmp_path: Path) -> None:
    assert 1.0 <= sample_seconds(scenario) <= 60.0
    draw(scenario, entries, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")

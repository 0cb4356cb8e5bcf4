from __future__ import annotations

import pytest

from chaos.plan import FAULTS, LAST_SHARE, ONLY_ON_S3, Fault, draw_plan, kinds_for


def plan(seed: int, **changes: object) -> list[Fault]:
    arguments = {
        "tasks": 2000,
        "every_tasks": 25,
        "kinds": kinds_for("s3"),
        "workers": 2,
        "apis": 2,
        "lease_seconds": 30.0,
        **changes,
    }
    return draw_plan(seed, **arguments)  # type: ignore[arg-type]


def test_the_same_seed_is_the_same_plan_and_another_seed_another() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_every_kind_comes_before_any_comes_again() -> None:
    kinds = [fault.kind for fault in plan(1)]
    assert len(kinds) > 2 * len(FAULTS)
    assert set(kinds[: len(FAULTS)]) == set(kinds[len(FAULTS) : 2 * len(FAULTS)]) == set(FAULTS)


def test_faults_are_spread_over_the_load_in_order_and_none_comes_after_it() -> None:
    after = [fault.after_tasks for fault in plan(3)]
    assert after == sorted(after)
    assert after[0] < 25
    assert 2000 * 0.9 < after[-1] <= 2000 * LAST_SHARE


def test_what_must_outlast_leases_does_so_at_any_lease() -> None:
    for lease in (2.0, 30.0):
        for fault in plan(5, lease_seconds=lease):
            assert fault.seconds >= FAULTS[fault.kind].leases * lease
            if fault.kind == "stop_worker":
                assert fault.seconds > 2 * lease


def test_targets_are_numbers_of_programs_that_there_are() -> None:
    for fault in plan(9, workers=3, apis=1):
        highest = {"worker": 3, "api": 1, "all": 0}[FAULTS[fault.kind].target]
        assert min(1, highest) <= fault.number <= highest


def test_a_folder_as_the_store_cannot_be_away() -> None:
    assert set(kinds_for("s3")) - set(kinds_for("folder")) == ONLY_ON_S3
    assert plan(1, kinds=()) == []


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown faults earthquake; there are: kill_worker"):
        kinds_for("s3", ["earthquake"])

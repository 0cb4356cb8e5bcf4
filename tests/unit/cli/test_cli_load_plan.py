from __future__ import annotations

import resource

import pytest

from asr_cli.load.open_files import allow_open_files
from asr_cli.load.plan import LoadPlan
from asr_cli.load.progress import RecentRate, line_seconds


def test_an_open_loop_submits_at_even_distances_until_the_time_is_over() -> None:
    assert list(LoadPlan(5, 2.0, rate=2.0).arrivals()) == [0.0, 0.5, 1.0, 1.5]
    assert list(LoadPlan(5, 1.0, rate=0.1).arrivals()) == [0.0]
    assert len(list(LoadPlan(5, 60.0, rate=3.0).arrivals())) == 180


def test_clients_start_one_after_another_within_a_tenth_of_the_time() -> None:
    plan = LoadPlan(10_000, 20.0)
    starts = [plan.start_seconds(n) for n in range(plan.concurrency)]
    assert starts[0] == 0.0
    assert starts == sorted(starts)
    assert starts[-1] < 2.0
    assert LoadPlan(10, 60.0).start_seconds(9) < 0.01


def test_a_thousand_clients_start_in_a_second_or_faster_in_a_short_run() -> None:
    assert LoadPlan(2000, 60.0).start_seconds(1000) == 1.0
    assert LoadPlan(2000, 5.0).start_seconds(1000) == 0.25


def test_a_loop_is_open_where_a_rate_is_given() -> None:
    assert LoadPlan(5, 1.0).mode == "closed loop"
    assert LoadPlan(5, 1.0, rate=0.5).mode == "open loop"


def test_every_client_needs_a_file_descriptor() -> None:
    assert LoadPlan(5000, 1.0).open_files > 5000


def test_the_soft_limit_of_open_files_is_raised_but_never_lowered() -> None:
    before = _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        allow_open_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)
        allow_open_files(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_beyond_the_hard_limit_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    with pytest.raises(ValueError, match="1024 are allowed: take fewer clients"):
        allow_open_files(5064)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = RecentRate(100.0)
    assert rate.at(100.0, 0) == 0.0
    assert rate.at(102.0, 20) == 10.0
    assert rate.at(104.0, 20) == 5.0
    assert rate.at(108.0, 20) == 0.0


@pytest.mark.parametrize(("run", "pause"), [(1, 0.5), (60, 3.0), (3600, 10.0)])
def test_lines_come_some_twenty_times_in_a_run(run: float, pause: float) -> None:
    assert line_seconds(run) == pause

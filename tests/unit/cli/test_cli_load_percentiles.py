from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asr_cli.load.percentiles import Percentiles, nearest_rank, percentiles

SECONDS = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


def test_of_one_to_a_hundred_each_percentile_is_its_own_number() -> None:
    numbers = [float(n) for n in range(1, 101)]
    assert percentiles(reversed(numbers)) == Percentiles(100, 50.0, 90.0, 95.0, 99.0, 100.0)


def test_of_few_measurements_the_high_percentiles_are_the_slowest() -> None:
    assert percentiles([3.0, 1.0, 2.0]) == Percentiles(3, 2.0, 3.0, 3.0, 3.0, 3.0)
    assert percentiles([0.5]) == Percentiles(1, 0.5, 0.5, 0.5, 0.5, 0.5)


def test_they_are_told_to_the_microsecond() -> None:
    third = 0.333333
    assert percentiles([1 / 3]) == Percentiles(1, third, third, third, third, third)


def test_without_measurements_there_are_no_percentiles() -> None:
    assert percentiles([]) == Percentiles(0, None, None, None, None, None)


@given(SECONDS, st.integers(1, 100))
def test_a_percentile_is_the_least_measured_value_that_so_many_do_not_exceed(
    seconds: list[float], percent: int
) -> None:
    ordered = sorted(seconds)
    value = nearest_rank(ordered, percent)
    assert value in seconds
    assert 100 * sum(s <= value for s in seconds) >= percent * len(seconds)
    assert 100 * sum(s < value for s in seconds) < percent * len(seconds)

"""Traces: from generators and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_core.errors import InvalidOption
from asr_operator.simulate.shapes import SHAPES, Workload, generate
from asr_operator.simulate.trace import read_trace, write_trace


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_the_same_for_the_same_seed_and_another_for_another(shape: str) -> None:
    one, again, other = (generate(shape, Workload(seed=seed)) for seed in (1, 1, 2))
    assert one == again != other
    assert list(one.arrivals) == sorted(one.arrivals)
    assert 0 <= one.arrivals[0] <= one.arrivals[-1] <= one.seconds
    assert min(one.audio_seconds) >= 1


def test_the_load_is_in_workers_whatever_their_throughput() -> None:
    for throughput in (5.0, 50.0):
        trace = generate("step", Workload(throughput=throughput))
        busy_hours = sum(trace.audio_seconds) / throughput / 3600
        assert busy_hours == pytest.approx(6.0, rel=0.1)


def test_a_lunch_dip_is_in_the_day() -> None:
    arrivals = generate("day").arrivals

    def within(start: float, end: float) -> int:
        return sum(start * 3600 <= at < end * 3600 for at in arrivals)

    assert within(12, 13) < 0.75 * within(10, 11)
    assert within(12, 13) < 0.75 * within(14, 15)
    assert within(2, 3) < 0.1 * within(10, 11)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    trace = generate("burst")
    write_trace(trace, tmp_path / "burst.csv")
    read = read_trace(tmp_path / "burst.csv")
    assert len(read) == len(trace)
    first = trace.arrivals[0]
    assert read.arrivals[-1] == pytest.approx(trace.arrivals[-1] - first, abs=0.01)
    assert read.audio_seconds == pytest.approx(trace.audio_seconds, abs=0.01)


def test_a_file_need_not_be_sorted_and_may_hold_more(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("audio_seconds,tenant,arrival_seconds\n9,a,1700000060\n7,b,1700000000\n")
    trace = read_trace(path)
    assert (trace.name, trace.arrivals, trace.audio_seconds) == ("own", (0.0, 60.0), (7.0, 9.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("when,how_long\n1,2\n", "arrival_seconds,audio_seconds"),
        ("arrival_seconds,audio_seconds\n1,2\n3,\n", "line 3"),
        ("arrival_seconds,audio_seconds\n1\n", "line 2"),
        ("arrival_seconds,audio_seconds\n1,-2\n", "line 2"),
        ("arrival_seconds,audio_seconds\nnan,2\n", "line 2"),
        ("arrival_seconds,audio_seconds\n", "no arrivals"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InvalidOption, match=message):
        read_trace(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"none\.csv"):
        read_trace(tmp_path / "none.csv")


def test_an_unknown_shape_is_answered_with_those_there_are() -> None:
    with pytest.raises(InvalidOption, match="step, ramp, sine, burst, day, cold, template"):
        generate("zigzag")

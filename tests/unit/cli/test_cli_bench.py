"""What `asr bench` draws, compares and writes."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr_cli.bench.lengths import KINDS, drawn
from asr_cli.bench.report import Finding, Series, draw, write
from asr_cli.main import app


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_of_a_kind_have_its_median_and_stay_in_its_bounds(kind: str) -> None:
    lengths, wanted = drawn(kind, 4000, 1), KINDS[kind]
    assert min(lengths) >= wanted.least_seconds
    assert max(lengths) <= wanted.most_seconds
    assert statistics.median(lengths) == pytest.approx(wanted.median_seconds, rel=0.1)
    assert lengths == drawn(kind, 4000, 1) != drawn(kind, 4000, 2)


def test_a_number_is_the_length_of_all() -> None:
    assert drawn("5.6", 3, 1) == [5.6] * 3


@pytest.mark.parametrize("wanted", ["films", "-1", "0", "nan", "1e9", ""])
def test_other_lengths_are_refused_before_anything_is_measured(wanted: str) -> None:
    told = CliRunner().invoke(app, ["bench", "engine", "--lengths", wanted])
    assert told.exit_code == 2
    assert "messages, calls, meetings" in told.output


def test_ratios_are_taken_round_by_round() -> None:
    ours, theirs = Series("ours", [40.0, 10.0, 90.0]), Series("theirs", [10.0, 5.0, 30.0])
    assert ours.median == 40
    assert ours.ratio_to(theirs) == 3  # of 4, 2 and 3


def test_figures_are_written_with_their_command_and_machine(tmp_path: Path) -> None:
    series = [Series("ours", [3.0, 5.0, 4.0]), Series("theirs", [1.0, 2.0, 1.5])]
    finding = Finding("Engine", "asr bench engine", {"files": 4}, "times real time", series)
    write([finding], tmp_path / "figures.json")
    (told,) = json.loads((tmp_path / "figures.json").read_text())
    assert told["medians"] == {"ours": 4.0, "theirs": 1.5}
    assert told["command"] == "asr bench engine"
    assert told["machine"]["cores"] >= 1
    draw(finding, tmp_path / "figures.png")
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")

"""`asr bench` measures real programs; how fast they are is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def bench(folder: Path, *words: str) -> list[dict[str, Any]]:
    figures = folder / "figures.json"
    command = [sys.executable, "-m", "asr_cli", "bench", *words, "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(figures.read_text())
    assert all(value > 0 for each in found for value in each["medians"].values())
    return found


def test_the_engine_is_measured_beside_automodel_and_stage_by_stage(tmp_path: Path) -> None:
    words = ("--model", "embedded", "--files", "3", "--lengths", "2", "--rounds", "1", "--cpu")
    (found,) = bench(tmp_path, "engine", *words, "--plot", str(tmp_path / "figures.png"))
    assert {"this engine, float32", "AutoModel, a loop"} <= set(found["medians"])
    assert {"share of features", "share of model", "share of text"} <= set(found["details"])
    assert (tmp_path / "figures.png").stat().st_size > 1000


def test_a_worker_is_measured_from_store_to_result_beside_a_loop(tmp_path: Path) -> None:
    (found,) = bench(tmp_path, "worker", "--files", "6", "--lengths", "2", "--rounds", "1", "--cpu")
    assert set(found["medians"]) == {"this worker", "AutoModel, a loop"}
    busy = float(found["details"]["time in which the model worked"].rstrip("%"))
    assert 0 < busy <= 100


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("decode", "--seconds", "3", "--rounds", "1"), {"wav, 16 kHz", "opus, 48 kHz"}),
        (
            ("voices", "--files", "2", "--lengths", "3", "--rounds", "1", "--cpu"),
            {"all in a batch", "one after another"},
        ),
        (
            ("vad", "--seconds", "30", "--rounds", "1"),
            {"energy, a whole file", "silero, a whole file", "silero, 32 ms at a time"},
        ),
        (("queue", "--tasks", "100", "--rounds", "1"), {"submit", "claim and finish"}),
        (("soak", "--batches", "10", "--cpu"), {"up to batch 2", "up to batch 10"}),
    ],
)
def test_what_stands_alone_is_measured_alone(
    tmp_path: Path, words: tuple[str, ...], names: set[str]
) -> None:
    (found,) = bench(tmp_path, *words)
    assert names <= set(found["medians"])

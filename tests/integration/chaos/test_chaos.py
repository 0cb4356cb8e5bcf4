"""The chaos harness as a person runs it: short, on a folder, with leases of two seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# One of each sort; the long run has them all.
FAULTS = (
    "kill_worker", "kill_at_finish", "stop_worker", "term_worker", "kill_decoder", "lose_claim",
    "kill_api", "kill_at_reply", "kill_redis", "cut_connections",
)  # fmt: skip


def chaos(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaos", *arguments, "--keep", str(folder / "kept")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
    )


def test_nothing_accepted_is_lost_or_done_twice_whatever_dies(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = chaos(
        tmp_path,
        *("--tasks", "90", "--seeds", "1", "--lease", "2", "--every", "8"),
        *("--faults", ",".join(FAULTS), "--json", str(report)),
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    (told,) = json.loads(report.read_text())
    assert told["holds"]
    assert told["accepted"] >= 90
    assert len(told["faults"]) >= 6, told["faults"]
    assert len(told["checks"]) >= 17


def test_an_unknown_fault_is_refused_before_anything_starts(tmp_path: Path) -> None:
    refused = chaos(tmp_path, "--faults", "earthquake")
    assert refused.returncode == 2
    assert "kill_worker" in refused.stderr
    assert not (tmp_path / "kept").exists()


def test_a_folder_with_data_of_an_older_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "seed-1").touch()
    refused = chaos(tmp_path)
    assert refused.returncode == 2
    assert "is not empty" in refused.stderr


@pytest.mark.parametrize("wrong", [["--seeds", "x"], ["--tasks", "0"]])
def test_senseless_options_are_refused(tmp_path: Path, wrong: list[str]) -> None:
    assert chaos(tmp_path, *wrong).returncode == 2

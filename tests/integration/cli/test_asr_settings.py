"""Settings of the programs, as a person gives them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "command", [["api", "--port", "0"], ["worker"], ["courier"], ["retention", "--every", "60"]]
)
def test_a_misspelt_setting_is_named_when_a_program_starts(
    command: list[str], tmp_path: Path
) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ASR_")},
        "ASR_REDIS_URL": "redis://127.0.0.1:1/0",  # none is needed to get so far
        "ASR_STORE_URL": tmp_path.as_uri(),
        "ASR_GRACE_SECOND": "a secret",
        "ASR_WATCH_NAMESPACES": "*",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "asr_cli", *command],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stderr is not None
        told = next(line for line in program.stderr if "setting_not_known" in line)
        program.kill()
    assert "secret" not in told
    log = json.loads(told)
    assert (log["level"], log["variable"], log["nearest"]) == (
        "warning",
        "ASR_GRACE_SECOND",
        "ASR_GRACE_SECONDS",
    )

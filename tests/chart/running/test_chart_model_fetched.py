"""The init container that fetches a model: its rendered command and environment, as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "models"


def start(render: Any, cache: Path, *settings: str) -> subprocess.Popen[str]:
    """Starts what the chart renders; the model volume is `cache`."""
    made = render("--set", ",".join(("worker.model.name=base", *settings)))
    spec = made.find("Deployment", "asr-worker-default")["spec"]["template"]["spec"]
    (init,) = spec["initContainers"]
    told = {each["name"]: each["value"] for each in init["env"]}
    told = {
        name: value.replace(told["ASR_MODEL_CACHE"], str(cache)) for name, value in told.items()
    }
    program, *words = init["command"]
    assert program == "asr"
    return subprocess.Popen(
        [sys.executable, "-m", "asr_cli", *words],
        env={"PATH": os.environ["PATH"], **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_of_two_pods_that_start_at_once_one_fetches_and_later_ones_need_nobody(
    render: Any, cache: Path, tmp_path: Path, whisper_base: Path
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "whisper-base").symlink_to(whisper_base)
    settings = f"worker.model.mirrors={{{mirror}}}"
    told = [ended(each) for each in [start(render, cache, settings) for _ in range(2)]]
    assert [(rc, out.strip()) for rc, out, _ in told] == [(0, str(cache / "whisper-base"))] * 2, (
        told
    )
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        size = (whisper_base / name).stat().st_size
        assert (cache / "whisper-base" / name).stat().st_size == size
    rc, out, err = ended(start(render, cache, "worker.model.offline=true"))
    assert (rc, out.strip()) == (0, str(cache / "whisper-base")), err


def test_what_is_not_there_and_may_not_be_fetched_is_told(render: Any, cache: Path) -> None:
    rc, out, err = ended(start(render, cache, "worker.model.offline=true"))
    assert (rc, out) == (1, "")
    assert "whisper-base" in err
    assert "ASR_OFFLINE" in err

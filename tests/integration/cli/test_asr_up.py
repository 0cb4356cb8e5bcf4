from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_cli.local.data_folder import DataFolder
from asr_cli.local.demo import find_demo, transcript_is_right
from asr_cli.local.ports import free_port

LAST_LINE = "Ctrl-C stops everything"


@pytest.fixture
def port() -> int:
    return free_port("127.0.0.1", 0)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What `asr up` has printed, up to a line that holds `text`."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if text in line:
            return printed
    raise AssertionError(f"ended before {text!r}: {printed}\n{process.communicate()[1]}")


def processes_under(folder: Path) -> dict[int, str]:
    """Command lines by process id of what works in this folder, `asr up` itself left out."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"{folder}/store".encode() in environment:
            found[int(entry.name)] = line
    return found


@pytest.mark.timeout(600)
def test_once_transcribes_the_bundled_recording_and_ends_with_nothing_left_running(
    asr: Any, tmp_path: Path, port: int
) -> None:
    done = asr("up", "--once", "--port", str(port), "--data", "here", REDIS_HOST="cache.example")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "REDIS_HOST ignored: `asr up` runs a private Redis" in done.stderr
    demo = find_demo()
    assert demo is not None
    spoken = re.search(r"“(.*)”", done.stdout)
    assert spoken
    assert transcript_is_right(spoken[1], demo.expected)
    assert processes_under(tmp_path / "here") == {}
    assert list((tmp_path / "here" / "store" / "audio").iterdir())


@pytest.mark.timeout(600)
def test_it_serves_until_ctrl_c_and_finds_its_tasks_again_at_the_next_start(
    asr: Any, tmp_path: Path, port: int
) -> None:
    url = f"http://127.0.0.1:{port}"
    histories = []
    for _ in range(2):
        process = asr.start("up", "--port", str(port), "--data", "here")
        printed = read_until(process, LAST_LINE)
        for path in ("/api/v1", "/docs", "/metrics"):
            assert url + path in printed
        with urllib.request.urlopen(f"{url}/api/v1/asr/history") as reply:
            histories.append([task["task_id"] for task in json.load(reply)["tasks"]])
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
        assert processes_under(tmp_path / "here") == {}
    assert (len(histories[0]), len(histories[1])) == (1, 2)
    assert histories[1][1] == histories[0][0]


@pytest.mark.timeout(600)
def test_a_real_recording_is_transcribed_by_the_commands_it_prints(
    asr: Any, tmp_path: Path, port: int
) -> None:
    demo = find_demo()
    assert demo is not None
    process = asr.start("up", "--port", str(port), "--data", "here")
    printed = read_until(process, LAST_LINE)
    done = asr("transcribe", str(demo.audio), "--server", f"http://127.0.0.1:{port}")
    assert transcript_is_right(done.stdout, demo.expected)
    submit = re.search(r"curl (-F \S+) (\S+submit)", printed)
    assert submit
    accepted = json.loads(
        subprocess.check_output(["curl", "-s", *submit[1].split(), submit[2]], text=True)
    )
    fetch = re.search(r"curl '(\S+)'", printed)
    assert fetch
    address = fetch[1].replace("TASK_ID", accepted["task_id"])
    text = subprocess.check_output(["curl", "-s", address], text=True)
    assert transcript_is_right(text, demo.expected)


@pytest.mark.timeout(600)
def test_a_killed_worker_is_started_again_and_killing_it_all_leaves_nothing_running(
    asr: Any, tmp_path: Path, port: int
) -> None:
    demo = find_demo()
    assert demo is not None
    process = asr.start("up", "--port", str(port), "--data", "here")
    read_until(process, LAST_LINE)
    for pid, line in processes_under(tmp_path / "here").items():
        if line.rstrip().endswith("asr_cli worker"):
            os.kill(pid, signal.SIGKILL)
    done = asr("transcribe", str(demo.audio), "--server", f"http://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr
    process.kill()
    _, told = process.communicate(timeout=60)
    assert "worker-1 was killed by SIGKILL; restarting" in told
    deadline = time.monotonic() + 60
    while left := processes_under(tmp_path / "here"):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    DataFolder(tmp_path / "here").close()


def refusal(asr: Callable[..., Any], *arguments: str, **environment: str) -> str:
    """The one line with which `asr up` refuses to start."""
    done = asr("up", "--once", *arguments, **environment)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return str(done.stderr)


def test_a_busy_port_is_said_in_one_line(asr: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        busy = str(listener.getsockname()[1])
        told = refusal(asr, "--port", busy)
    assert busy in told
    assert "--port" in told


def test_a_missing_redis_is_said_in_one_line(asr: Any, port: int) -> None:
    assert "apt install redis-server" in refusal(asr, "--port", str(port), PATH="/nonexistent")


def test_a_folder_that_is_in_use_is_said_in_one_line(asr: Any, tmp_path: Path, port: int) -> None:
    held = DataFolder(tmp_path / "here")
    told = refusal(asr, "--port", str(port), "--data", "here")
    held.close()
    assert "in use" in told
    assert "--data" in told


@pytest.mark.timeout(600)
def test_a_model_that_is_not_there_ends_the_start_with_the_workers_reason(
    asr: Any, tmp_path: Path, port: int
) -> None:
    done = asr("up", "--once", "--port", str(port), "--data", "here", "--model", "/no/such/model")
    assert done.returncode == 1
    assert "/no/such/model" in done.stderr
    assert processes_under(tmp_path / "here") == {}

"""What other users of the machine see of `asr up`: nothing; and its own user's commands find it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import redis
from typer.testing import CliRunner

from asr_cli.local.demo import find_demo, transcript_is_right
from asr_cli.local.ports import free_port
from asr_cli.main import app

ROOT = Path(__file__).parents[3]
KEY = "asr_" + "k" * 43
# Modules are loaded before the uid changes: its interpreter may be another user's, too.
SPY = """
import json, os, socket, sys
from typer.testing import CliRunner
from asr_cli.local import running_platform
from asr_cli.main import app
import asr_core.queue
told = json.load(sys.stdin)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
def tries(what, *arguments):
    try:
        what(*arguments)
    except OSError:
        return False
    return True
def connect(path):
    socket.socket(socket.AF_UNIX).connect(path)
seen = [p for p in told["paths"] if tries(os.listdir if os.path.isdir(p) else open, p)]
seen += [p for p in told["paths"][1:] if tries(os.stat, p)]
seen += [p for p in told["sockets"] if tries(connect, p)]
seen += [p for p in told["private"] if tries(open, p)]
create = ["keys", "create", "spy", "--scope", "admin", "--data", told["data"]]
made = CliRunner().invoke(app, create)
json.dump({"seen": seen, "status": made.exit_code, "said": made.output,
           "parent": tries(os.listdir, os.path.dirname(told["data"]))}, sys.stdout)
"""


@dataclass
class Up:
    """A running `asr up`, and commands in the folder that holds its `data`."""

    folder: Path
    data: Path
    api_port: int
    metrics_port: int
    process: subprocess.Popen[str]
    printed: str = ""

    def asr(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """What it printed on stdout, or on stderr where it should fail. Within this process."""
        unset = {name: None for name in os.environ if name.startswith(("ASR_", "REDIS_"))}
        with contextlib.chdir(self.folder):
            env = {**unset, "COLUMNS": "200", **environment}
            done = CliRunner().invoke(app, arguments, env=env)
        assert done.exit_code == status, done.output
        return done.stdout if status == 0 else done.stderr

    def tree(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def listens_on(self) -> set[tuple[str, int]]:
        """Of all its processes, once the last one, the courier, listens."""
        deadline = time.monotonic() + 60
        while True:
            found = set()
            for process in self.tree():
                with contextlib.suppress(psutil.NoSuchProcess):  # ended since it was listed
                    for each in process.net_connections(kind="inet"):
                        if each.status == psutil.CONN_LISTEN:
                            found.add((each.laddr.ip, each.laddr.port))
            if self.metrics_port + 1 in {port for _, port in found}:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.05)


def clean_environment(**changes: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
    return {**inherited, "COLUMNS": "200", **changes}


def start(folder: Path, data: Path, *arguments: str, **environment: str) -> Up:
    """From a shell whose umask hides nothing."""
    port, metrics = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    own = {"ASR_MODEL": "embedded", "TMPDIR": str(folder / "tmp")}
    changes = {"ASR_METRICS_PORT": str(metrics), **own, **environment}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "asr_cli", "up", "--port", str(port), "--data", str(data)),
            *arguments,
        ],
        cwd=folder, env=clean_environment(**changes), text=True, umask=0,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=(folder / "up.log").open("w"),
    )  # fmt: skip
    up = Up(folder, data, port, metrics, process)
    assert process.stdout
    for line in process.stdout:
        up.printed += line
        if "Ctrl-C stops everything" in line:
            return up
    raise AssertionError(up.printed + (folder / "up.log").read_text())


def end(up: Up) -> None:
    up.process.send_signal(signal.SIGINT)
    up.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def public() -> Iterator[Path]:
    """A folder that everybody may enter: pytest's own are closed already."""
    folder = Path(tempfile.mkdtemp(prefix="asr-test-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "tmp").mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def up(public: Path) -> Iterator[Up]:
    """With keys on."""
    keys = {"ASR_AUTH": "keys", "ASR_BOOTSTRAP_KEY": KEY, "ASR_API_KEY": KEY}
    started = start(public, public / "data", **keys)
    yield started
    end(started)


def open_to_others(*folders: Path) -> list[str]:
    """What group or others may do anything with."""
    found = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    return [f"{path.stat().st_mode:o} {path}" for path in found if path.stat().st_mode & 0o077]


def test_all_that_it_writes_is_closed_whatever_the_umask(up: Up) -> None:
    kinds = {path.parent.name for path in up.data.rglob("*") if path.is_file()}
    assert {"appendonlydir", "logs", "data"} <= kinds
    assert list((up.data / "store" / "audio").rglob("*"))
    assert open_to_others(up.data, *(up.folder / "tmp").iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_another_user_reads_nothing_and_writes_no_key(up: Up) -> None:
    asked = {
        "data": str(up.data),
        "paths": [str(path) for path in (up.data, *up.data.rglob("*"))],
        "sockets": [str(path) for path in up.data.rglob("*") if path.is_socket()],
        "private": [f"/proc/{process.pid}/environ" for process in up.tree()],
    }
    assert len(asked["paths"]) > 20
    assert asked["sockets"]
    spy = subprocess.run(
        [sys.executable, "-c", SPY], input=json.dumps(asked), capture_output=True, text=True,
        env=clean_environment(), timeout=120,
    )  # fmt: skip
    assert spy.returncode == 0, spy.stderr
    told = json.loads(spy.stdout)
    assert told["parent"], "the folder above is everybody's: else this would prove nothing"
    assert told["seen"] == []
    assert told["status"] == 1
    assert "another user" in told["said"]
    assert up.asr("keys", "list", "--json").strip() == "[]"


def test_no_command_line_holds_a_secret_and_all_ports_are_on_loopback(up: Up) -> None:
    for process in up.tree():
        assert KEY not in " ".join(process.cmdline())
    ports = (up.api_port, up.metrics_port, up.metrics_port + 1)  # the API, a worker, the courier
    assert up.listens_on() == {("127.0.0.1", port) for port in ports}


COMMANDS = (
    "keys list",
    "tenants list",
    "usage",
    "queue status",
    "queue dead",
    "queue webhooks",
    "queue put-back --all",
    "retention --dry-run",
    "reconcile --sweep --dry-run",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_find_the_platform_of_the_folder(up: Up, command: str) -> None:
    up.asr(*command.split())
    elsewhere = up.asr(*command.split(), "--data", "/nowhere", status=1)
    assert "o `asr up` runs in /nowhere: start" in elsewhere
    assert "ASR_REDIS_URL" in elsewhere


def test_the_store_of_the_folder_goes_with_its_redis(up: Up) -> None:
    told = json.loads(up.asr("reconcile", "--sweep", "--dry-run", "--json"))
    assert told["blobs"] >= 1


def test_a_recording_is_sent_to_the_platform_of_the_folder(up: Up) -> None:
    demo = find_demo()
    assert demo
    text = up.asr("transcribe", str(demo.audio), ASR_API_KEY=KEY)
    assert transcript_is_right(text, demo.expected)


def test_settings_that_name_a_redis_win_and_an_option_wins_over_both(
    up: Up, redis_server: object
) -> None:
    up.asr("keys", "create", "mine")
    there = {"REDIS_PORT": str(redis_server.port)}  # type: ignore[attr-defined]
    assert "mine" not in up.asr("keys", "list", **there)
    for names_it in ({}, {"ASR_DATA": str(up.data)}):
        assert "mine" in up.asr("keys", "list", **names_it)
    assert "mine" in up.asr("keys", "list", "--data", "data", **there)
    for key in json.loads(up.asr("keys", "list", "--json")):
        up.asr("keys", "revoke", key["id"])


def test_the_documented_commands_run_beside_it_as_they_stand(up: Up) -> None:
    ran = []
    for document in (*ROOT.glob("README*.md"), *sorted((ROOT / "docs").glob("*.md"))):
        text = document.read_text("utf-8")
        for line in re.findall(r"^(?:\.venv/bin/)?asr (.*)$", text, re.M):
            command = line.partition("#")[0].split()
            if command[0] not in ("keys", "queue", "usage", "tenants"):
                continue
            if not re.search(r"[A-Z]{2}|[0-9]-[0-9]+$|…", " ".join(command)):
                up.asr(*command)
                ran.append(" ".join(command))
    assert {"keys create laptop", "queue status", "queue dead"} <= set(ran)
    for key in json.loads(up.asr("keys", "list", "--json")):
        up.asr("keys", "revoke", key["id"])


@pytest.mark.timeout(300)
def test_a_second_one_keeps_apart_even_where_its_name_is_too_long_for_a_socket(
    up: Up, public: Path
) -> None:
    """And its metrics follow the address of its API."""
    data = public / ("long" * 30) / "data"
    second = start(public, data, "--host", "127.0.0.2")
    try:
        ports = (second.api_port, second.metrics_port, second.metrics_port + 1)
        assert second.listens_on() == {("127.0.0.2", port) for port in ports}
        assert not [path for path in data.rglob("*") if path.is_socket()]
        assert [path for path in (public / "tmp").rglob("*") if path.is_socket()]
        second.asr("keys", "create", "of-the-second", "--data", str(data))
        up.asr("keys", "create", "of-the-first")
        assert "of-the-first" not in second.asr("keys", "list", "--data", str(data))
        assert "of-the-second" not in up.asr("keys", "list")
        assert open_to_others(data, *(public / "tmp").iterdir()) == []
    finally:
        end(second)


def leave_as_an_older_version_did(data: Path) -> None:
    """A Redis on a port, files for all to read."""
    (data / "redis").mkdir(parents=True)
    port = free_port("127.0.0.1", 0)
    server = subprocess.Popen(
        [
            *("redis-server", "--port", str(port), "--dir", str(data / "redis"), "--save", ""),
            *("--appendonly", "yes"),
        ],
        stdout=subprocess.DEVNULL,
    )
    with redis.Redis(port=port) as client:
        while True:
            try:
                client.set("kept", "yes")
                break
            except redis.exceptions.ConnectionError:
                assert server.poll() is None
    server.terminate()
    server.wait(30)
    for name in ("store/audio", "spool", "work", "logs"):
        (data / name).mkdir(parents=True)
    (data / "store/audio/one").write_bytes(b"x")
    for path in (data, *data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.timeout(300)
def test_a_folder_of_an_older_version_is_closed_once_and_keeps_its_data(public: Path) -> None:
    data = public / "old"
    leave_as_an_older_version_did(data)
    up = start(public, data)
    try:
        socket = re.search(r"redis-cli -s (\S+)", up.printed)
        assert socket
        with redis.Redis(unix_socket_path=socket[1]) as client:
            assert client.get("kept") == b"yes"
        assert open_to_others(data) == []
        told = (public / "up.log").read_text()
        assert told.count("other users could read this folder") == 1
    finally:
        end(up)
    end(start(public, data))
    assert "other users" not in (public / "up.log").read_text()

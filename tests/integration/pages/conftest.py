"""The pages in Chromium, against real programs: Redis, `asr api`, `asr worker` with its model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from asr_cli.local.demo import find_demo
from asr_cli.local.ports import free_port
from asr_cli.local.redis_server import find_server
from asr_core.queue.permissions import least_user_options

Program = subprocess.Popen[bytes]


@dataclass
class Stack:
    """The platform as processes of their own, which a test may end and start again."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    redis_port: int = field(default_factory=lambda: free_port("127.0.0.1", 0))
    api_port: int = field(default_factory=lambda: free_port("127.0.0.1", 0))
    programs: dict[str, Program] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def start_redis(self) -> None:
        folder = self.folder / "redis"
        folder.mkdir(exist_ok=True)
        options = {"port": str(self.redis_port), "dir": str(folder), "appendonly": "yes"}
        arguments = [find_server().path, "--bind", "127.0.0.1"]
        arguments += [part for key, value in options.items() for part in (f"--{key}", value)]
        arguments += least_user_options()
        self._start("redis", arguments)
        with redis.Redis(port=self.redis_port) as client:
            self._until("redis", lambda: _true_unless(redis.exceptions.RedisError, client.ping))

    def start_api(self) -> None:
        self._start("api", [*_ASR, "api", "--port", str(self.api_port), "--grace", "1"])
        self._until("api", lambda: _true_unless(OSError, lambda: self.get("/healthz")))

    def start_worker(self) -> None:
        self._start("worker", [*_ASR, "worker"])
        status = "/api/v1/asr/queue/status"
        self._until("worker", lambda: b'"embedded"' in self.get(status))

    def make_key(self, *options: str) -> str:
        made = subprocess.run(
            [*_ASR, "keys", "create", "test", *options],
            cwd=self.folder,
            env={**os.environ, "REDIS_PORT": str(self.redis_port)},
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.strip()

    def end(self, name: str) -> None:
        program = self.programs.pop(name)
        program.terminate()
        try:
            program.wait(30)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as reply:
            content: bytes = reply.read()
        return content

    def _until(self, name: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 180
        while not condition():
            log = (self.folder / f"{name}.log").read_text()
            assert self.programs[name].poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.05)

    def _start(self, name: str, arguments: Any) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
        own = {
            "REDIS_PORT": str(self.redis_port),
            "ASR_STORE_URL": (self.folder / "store").as_uri(),
            "ASR_SPOOL_DIR": str(self.folder / "spool"),
            "ASR_WORK_DIR": str(self.folder / "work"),
            "ASR_WORKER_NAME": "worker-1",
            "ASR_CPU_THREADS": "1",
            "ASR_USE_GPU": "false",
            "ASR_GRACE_SECONDS": "1",
            **self.settings,
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.programs[name] = subprocess.Popen(
                list(arguments),
                cwd=self.folder,
                env={**inherited, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


_ASR = (sys.executable, "-m", "asr_cli")


def _true_unless(error: type[Exception], call: Callable[[], object]) -> bool:
    try:
        call()
    except error:
        return False
    return True


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis, API and a worker."""
    running = Stack(tmp_path_factory.mktemp("pages"))
    try:
        running.start_redis()
        running.start_api()
        running.start_worker()
        yield running
    finally:
        for name in list(running.programs)[::-1]:
            running.end(name)


@pytest.fixture(scope="session")
def guarded(stack: Stack) -> Iterator[Stack]:
    """A second API on the same queue and store, which asks for keys."""
    other = Stack(stack.folder, {"ASR_AUTH": "keys"}, redis_port=stack.redis_port)
    other.start_api()
    yield other
    other.end("api")


def find_chromium() -> str | None:
    """The first that starts: Ubuntu's is a script that asks for a snap."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            return path
    return None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it; its microphone plays beeps. Not for the whole session:
    Playwright's event loop must be gone before tests come that run one of their own.
    """
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium: `scripts/set_up.sh dev` installs it through apt")
    arguments = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
        "--host-resolver-rules=MAP *.lan 127.0.0.1, MAP evil.example 127.0.0.1",
    ]
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[OpenPage]:
    """Opens a page in a fresh browser; fails the test if the page breaks its own rules."""
    contexts: list[BrowserContext] = []
    broken: list[str] = []

    def open_one(path: str, *, width: int = 1280, url: str = "", **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            accept_downloads=True,
            permissions=["microphone", "clipboard-read", "clipboard-write"],
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on(
            "console",
            lambda said: broken.append(said.text) if "Content Security" in said.text else None,
        )
        page.goto((url or stack.url) + path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not broken, broken


@pytest.fixture(scope="session")
def demo() -> Path:
    """A recording that the embedded model reads."""
    found = find_demo()
    assert found
    return found.audio

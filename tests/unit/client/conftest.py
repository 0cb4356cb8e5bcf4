"""Both clients, against a server that is scripted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from asr_platform import waiting

Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Script:
    """Answers in turn, and keeps the requests that came; the server of both clients."""

    def __init__(self, client_class: Any) -> None:
        self._client_class = client_class
        self._left: list[httpx.Response | Exception | Answer] = []
        self.seen: list[httpx.Request] = []

    def __call__(self, *answers: httpx.Response | Exception | Answer, **settings: Any) -> Any:
        """A client of the server that gives these answers next."""
        self._left, self.seen = list(answers), []
        transport = httpx.MockTransport(self._answer)
        return self._client_class("http://asr.test/", transport=transport, **settings)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.seen.append(request)
        now = self._left.pop(0)
        if isinstance(now, Exception):
            raise now
        return now if isinstance(now, httpx.Response) else await now(request)

    @staticmethod
    def accepted(task_id: str = "t1") -> httpx.Response:
        return httpx.Response(202, json={"task_id": task_id, "status": "queued"})

    @staticmethod
    def task(status: str, **more: Any) -> httpx.Response:
        return httpx.Response(200, json={"task_id": "t1", "status": status, **more})

    @staticmethod
    def refusal(status: int, message: str, code: str = "", **headers: str) -> httpx.Response:
        error = {"message": message, "code": code or None}
        return httpx.Response(status, json={"error": error}, headers=headers)

    @staticmethod
    def busy() -> httpx.Response:
        return Script.refusal(503, "busy", **{"Retry-After": "0"})


@pytest.fixture
def script(client_class: Any) -> Script:
    return Script(client_class)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted answers come at once."""
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.0)

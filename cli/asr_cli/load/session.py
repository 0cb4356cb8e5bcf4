"""One client of the load: a connection of its own, and no request that is sent again in silence."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType, TracebackType
from typing import Any, Self

import httpx

from asr_cli.load.ledger import TaskEnd
from asr_cli.load.problem import Kind, Problem, Request
from asr_cli.load.recording import Recording
from asr_core.task import TERMINAL

POLL_SECONDS = 20
_TIMEOUT = httpx.Timeout(120.0, connect=10.0)
# Shorter than the 5 s after which uvicorn closes an idle connection, perhaps just when it is used.
_LIMITS = httpx.Limits(max_connections=1, keepalive_expiry=4.0)


@dataclass(frozen=True)
class Answer:
    """The JSON body of the reply that was hoped for, or the problem."""

    body: dict[str, Any]
    problem: Problem | None = None
    pause_seconds: float = 0.0


class Session:
    """One connection to the server; `headers` go with every request, `transport` is for tests."""

    def __init__(
        self,
        server: str,
        tls: ssl.SSLContext,
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=server,
            headers=dict(headers),
            verify=tls,
            timeout=_TIMEOUT,
            limits=_LIMITS,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def submit(self, recording: Recording, key: str) -> Answer:
        """Only a 202 with a task's id is a success."""
        return await self._ask(
            "submit",
            "POST",
            "/api/v1/asr/submit",
            wanted=(202, "task_id"),
            content=recording.body(),
            headers={**recording.headers, "Idempotency-Key": key},
        )

    async def result(self, task_id: str) -> Answer:
        """Long-poll: the task as it is once it has ended, or after POLL_SECONDS."""
        path = f"/api/v1/asr/result/{task_id}"
        return await self._ask(
            "result", "GET", path, wanted=(200, "status"), params={"wait": POLL_SECONDS}
        )

    async def delete(self, task_id: str) -> Answer:
        path = f"/api/v1/asr/task/{task_id}"
        return await self._ask("delete", "DELETE", path, wanted=(200, "status"))

    async def _ask(
        self,
        request: Request,
        method: str,
        path: str,
        *,
        wanted: tuple[int, str],
        **arguments: Any,
    ) -> Answer:
        try:
            reply = await self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            problem = Problem(request, _kind(error))
            return Answer({}, problem, problem.pause_seconds(None))
        body = _body(reply)
        status, field = wanted
        if reply.status_code == status and field in body:
            return Answer(body)
        if reply.is_success:
            problem = Problem(request, "malformed", reply.status_code)
        else:
            problem = Problem(request, "http", reply.status_code, _code(body))
        return Answer({}, problem, problem.pause_seconds(reply.headers.get("Retry-After")))


def task_end(body: dict[str, Any]) -> TaskEnd | None:
    """What the body of a result says of the end; None while there is none."""
    state = str(body["status"])
    if state not in TERMINAL:
        return None
    queued, started, finished = (
        datetime.fromisoformat(body[name]) if body.get(name) else None
        for name in ("queued_at", "started_at", "finished_at")
    )
    return TaskEnd(
        state=state,
        error_code=str((body.get("error") or {}).get("code") or ""),
        audio_seconds=float(body.get("duration_seconds") or 0.0),
        wait_seconds=(started - queued).total_seconds() if started and queued else None,
        processing_seconds=(finished - started).total_seconds() if finished and started else None,
    )


def _kind(error: httpx.TransportError) -> Kind:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return "connect"
    return "timeout" if isinstance(error, httpx.TimeoutException) else "broken"


def _body(reply: httpx.Response) -> dict[str, Any]:
    try:
        body = reply.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _code(body: dict[str, Any]) -> str:
    error = body.get("error")
    return str(error.get("code") or "") if isinstance(error, dict) else ""

"""A client of the HTTP API: submit a recording, wait for its transcript.

    async with AsrClient("http://127.0.0.1:8000") as client:
        transcript = await client.transcribe(Path("talk.mp3"), format=ResultFormat.SRT)

From code that is not asynchronous: `asr_cli.blocking_client`.
A busy or absent server is asked again (`asr_cli.retry`); the idempotency key makes that safe.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from asr_cli.retry import retry_delay
from asr_core.render import ResultFormat
from asr_core.result import Transcript

_WAIT_SECONDS = 5
# The reply to a submission comes once the server has stored all of it: gigabytes take minutes.
_SUBMIT_TIMEOUT = httpx.Timeout(60.0, connect=10.0, read=600.0)
_TERMINAL = frozenset({"completed", "failed", "cancelled"})


class ClientError(Exception):
    """The server's answer, or its absence, in one line."""


class ServerUnreachable(ClientError):
    """Nothing answers at the server's address."""


class TaskNotCompleted(ClientError):
    """The task was accepted and did not end with a transcript."""


@dataclass(frozen=True)
class SubmitOptions:
    """What is asked of the engine, and how urgent it is; None leaves the server's default."""

    lane: str | None = None
    pool: str | None = None
    language: str | None = None
    channels: str | None = None
    itn: bool | None = None
    speakers: bool | None = None
    hotwords: tuple[str, ...] = ()
    webhook: str | None = None

    def form(self) -> dict[str, str]:
        """The multipart fields beside the audio."""
        fields = {
            "lane": self.lane,
            "pool": self.pool,
            "language": self.language,
            "channels": self.channels,
            "webhook": self.webhook,
        }
        switches = {"itn": self.itn, "speakers": self.speakers}
        fields |= {name: str(on).lower() for name, on in switches.items() if on is not None}
        fields["hotwords"] = ",".join(self.hotwords) or None
        return {name: value for name, value in fields.items() if value is not None}

    def body(self) -> dict[str, Any]:
        """The fields beside the URL of a recording that the server fetches."""
        fields: dict[str, Any] = {**self.form()}
        switches = {"itn": self.itn, "speakers": self.speakers}
        fields |= {name: on for name, on in switches.items() if on is not None}
        if self.hotwords:
            fields["hotwords"] = list(self.hotwords)
        return fields


def error_message(response: httpx.Response) -> str:
    """The message of an error reply, whoever sent it (a proxy sends no JSON)."""
    try:
        message = response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text.strip()[:200] or response.reason_phrase
    return f"{message} (HTTP {response.status_code})"


def bearer(api_key: str | None) -> dict[str, str]:
    """The header that carries a key; None: that of the environment's `ASR_API_KEY`, if there is."""
    key = os.environ.get("ASR_API_KEY", "") if api_key is None else api_key
    return {"Authorization": f"Bearer {key}"} if key else {}


class AsrClient:
    """One server. `patience_seconds` is how long a request is tried again before it is given up."""

    def __init__(
        self,
        server: str,
        *,
        api_key: str | None = None,
        patience_seconds: float = 600.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self._patience_seconds = patience_seconds
        timeout = httpx.Timeout(60.0, connect=10.0)
        limits = httpx.Limits(max_connections=256)
        self._http = httpx.AsyncClient(
            base_url=self.server,
            headers=bearer(api_key),
            timeout=timeout,
            limits=limits,
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

    async def check(self) -> None:
        """ServerUnreachable unless something answers at the address."""
        try:
            response = await self._http.get("/healthz")
        except httpx.HTTPError as error:
            raise ServerUnreachable(f"no server answers at {self.server} ({error})") from error
        if response.status_code != 200 or response.text.strip() != "ok":
            raise ServerUnreachable(
                f"{self.server} is no asr-platform API: {error_message(response)}"
            )

    async def ready(self) -> bool:
        """Whether the server takes requests."""
        try:
            return (await self._http.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def submit(
        self,
        path: Path,
        options: SubmitOptions = SubmitOptions(),
        *,
        idempotency_key: str | None = None,
    ) -> str:
        """Upload a recording; the id of its task. One key for all tries, so there is one task."""
        return str((await self._submit(path, options, idempotency_key))["task_id"])

    async def _submit(
        self, path: Path, options: SubmitOptions, idempotency_key: str | None
    ) -> dict[str, Any]:
        key = idempotency_key or str(uuid.uuid4())

        async def send() -> httpx.Response:
            with path.open("rb") as file:
                return await self._http.post(
                    "/api/v1/asr/submit",
                    files={"audio": (path.name, file)},
                    data=options.form(),
                    headers={"Idempotency-Key": key},
                    timeout=_SUBMIT_TIMEOUT,
                )

        accepted: dict[str, Any] = (await self._insist(send)).json()
        return accepted

    async def submit_url(
        self,
        url: str,
        options: SubmitOptions = SubmitOptions(),
        *,
        idempotency_key: str | None = None,
    ) -> str:
        """Have the server fetch a recording; the id of its task."""
        key = idempotency_key or str(uuid.uuid4())
        body = {"url": url, **options.body()}
        headers = {"Idempotency-Key": key}

        async def send() -> httpx.Response:
            return await self._http.post("/api/v1/asr/submit", json=body, headers=headers)

        return str((await self._insist(send)).json()["task_id"])

    async def wait(
        self, task_id: str, on_progress: Callable[[str, float], None] | None = None
    ) -> dict[str, Any]:
        """Long-poll until the task has ended; its last reply. TaskNotCompleted if it failed."""
        while True:
            reply = await self._get(task_id, {"wait": str(_WAIT_SECONDS)})
            body: dict[str, Any] = reply.json()
            state = str(body["status"])
            if on_progress:
                on_progress(state, float(body.get("progress") or 0.0))
            if state == "completed":
                return body
            if state in _TERMINAL:
                reason = (body.get("error") or {}).get("message") or state
                raise TaskNotCompleted(f"{state}: {reason}")

    async def result(self, task_id: str, format: ResultFormat = ResultFormat.TEXT) -> str:
        """The transcript of a completed task in one of the API's formats."""
        return (await self._get(task_id, {"format": format.value})).text

    async def transcript(self, task_id: str) -> Transcript:
        """The transcript of a completed task with its segments and words."""
        return Transcript.model_validate((await self._get(task_id, {})).json()["result"])

    async def transcribe(
        self,
        path: Path,
        options: SubmitOptions = SubmitOptions(),
        *,
        format: ResultFormat = ResultFormat.TEXT,
        on_progress: Callable[[str, float], None] | None = None,
        on_ignored: Callable[[Sequence[str]], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> str:
        """Submit, wait, fetch. `on_ignored` gets the options that the model does not heed, as soon
        as they are known: at submit, or with the transcript. `on_warning` gets each sentence about
        what of the recording could not be read.
        """
        accepted = await self._submit(path, options, None)
        task_id = str(accepted["task_id"])
        told = accepted.get("options_ignored") or []
        if told and on_ignored:
            on_ignored(told)
        ended = await self.wait(task_id, on_progress)
        result = ended.get("result") or {}
        late = [name for name in result.get("options_ignored", ()) if name not in told]
        if late and on_ignored:
            on_ignored(late)
        if on_warning:
            for warning in result.get("warnings", ()):
                on_warning(warning["message"])
        return await self.result(task_id, format)

    async def retry(self, task_id: str) -> None:
        """Queue a failed or cancelled task again."""
        await self._insist(lambda: self._http.post(f"/api/v1/asr/retry/{task_id}"))

    async def delete(self, task_id: str) -> None:
        """Cancel a task if need be; its recording, results and record are deleted."""
        await self._insist(lambda: self._http.delete(f"/api/v1/asr/task/{task_id}"))

    async def _get(self, task_id: str, parameters: dict[str, str]) -> httpx.Response:
        url = f"/api/v1/asr/result/{task_id}"
        return await self._insist(lambda: self._http.get(url, params=parameters))

    async def _insist(self, send: Callable[[], Any]) -> httpx.Response:
        """Send until an answer comes that trying again does not change, or patience ends."""
        give_up_at = time.monotonic() + self._patience_seconds
        attempt = 0
        while True:
            attempt += 1
            response: httpx.Response | None = None
            try:
                response = await send()
                problem = error_message(response) if response.is_error else ""
            except httpx.TransportError as error:
                problem = f"{self.server}: {error or type(error).__name__}"
            if response is not None and response.is_success:
                return response
            status = response.status_code if response is not None else None
            after = response.headers.get("Retry-After") if response is not None else None
            delay = retry_delay(attempt, status, after)
            if response is not None and response.headers.get("x-should-retry") == "false":
                delay = None
            if delay is None:
                raise ClientError(problem)
            if time.monotonic() + delay > give_up_at:
                raise ClientError(f"{problem}; given up after {attempt} tries")
            await asyncio.sleep(delay)

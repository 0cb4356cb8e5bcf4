"""A client of the HTTP API: submit a recording, wait for its transcript.

    async with AsrClient("http://127.0.0.1:8000") as client:
        transcript = await client.transcribe("talk.mp3", format="srt")

From code that is not asynchronous: `asr_cli.blocking_client`.
A busy or absent server is asked again (`asr_cli.retry`); the idempotency key makes that safe.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from asr_cli.client_errors import (
    ClientError,
    ServerUnreachable,
    TaskNotCompleted,
    WrongAddress,
    error_message,
    refusal,
)
from asr_cli.next_try import delay_after
from asr_cli.server_address import server_address
from asr_cli.submit_options import SubmitOptions
from asr_cli.uploads import AudioSource, Upload
from asr_core.render import ResultFormat
from asr_core.result import Transcript

__all__ = [
    "AsrClient",
    "AudioSource",
    "ClientError",
    "ServerUnreachable",
    "SubmitOptions",
    "TaskNotCompleted",
    "WrongAddress",
    "bearer",
    "error_message",
]

_WAIT_SECONDS = 5
# The reply to a submission comes once the server has stored all of it: gigabytes take minutes.
_SUBMIT_TIMEOUT = httpx.Timeout(60.0, connect=10.0, read=600.0)
_TERMINAL = frozenset({"completed", "failed", "cancelled"})


def bearer(api_key: str | None) -> dict[str, str]:
    """The header that carries a key; None: that of the environment's `ASR_API_KEY`, if there is."""
    key = os.environ.get("ASR_API_KEY", "") if api_key is None else api_key
    return {"Authorization": f"Bearer {key}"} if key else {}


class AsrClient:
    """One server. `patience_seconds` is how long a request is tried again before it is given up.

    Raises WrongAddress for a server's address without http:// and the like, here and not later.
    """

    def __init__(
        self,
        server: str,
        *,
        api_key: str | None = None,
        patience_seconds: float = 600.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.server = server_address(server)
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
        audio: AudioSource,
        options: SubmitOptions = SubmitOptions(),
        *,
        idempotency_key: str | None = None,
        filename: str | None = None,
    ) -> str:
        """Upload a recording (a path, bytes, or a file opened in binary mode); the id of its task.

        One key for all tries, so there is one task. Raises OSError for a file that is not there.
        """
        upload = Upload.of(audio, filename)
        return str((await self._submit(upload, options, idempotency_key))["task_id"])

    async def _submit(
        self, upload: Upload, options: SubmitOptions, idempotency_key: str | None
    ) -> dict[str, Any]:
        key = idempotency_key or str(uuid.uuid4())

        async def send() -> httpx.Response:
            with upload.opened() as file:
                return await self._http.post(
                    "/api/v1/asr/submit",
                    files={"audio": (upload.name, file)},
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
                error = body.get("error") or {}
                reason = error.get("message") or state
                raise TaskNotCompleted(f"{state}: {reason}", code=error.get("code") or state)

    async def result(self, task_id: str, format: ResultFormat | str = ResultFormat.TEXT) -> str:
        """The transcript of a completed task: `text`, `srt`, `vtt` or `json`."""
        return (await self._get(task_id, {"format": _format(format)})).text

    async def transcript(self, task_id: str) -> Transcript:
        """The transcript of a completed task with its segments and words."""
        return Transcript.model_validate((await self._get(task_id, {})).json()["result"])

    async def transcribe(
        self,
        audio: AudioSource,
        options: SubmitOptions = SubmitOptions(),
        *,
        format: ResultFormat | str = ResultFormat.TEXT,
        on_progress: Callable[[str, float], None] | None = None,
        on_ignored: Callable[[Sequence[str]], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> str:
        """Submit, wait, fetch; the text. `on_ignored` gets the options that the model does not
        heed, as soon as they are known: at submit, or with the transcript. `on_warning` gets each
        sentence about what of the recording could not be read.
        """
        format = _format(format)
        accepted = await self._submit(Upload.of(audio), options, None)
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
            response, problem = await self._try(send)
            if response is not None and response.is_success:
                return response
            delay = delay_after(attempt, response, problem)
            if delay is not None and time.monotonic() + delay <= give_up_at:
                await asyncio.sleep(delay)
                continue
            after = "" if delay is None else f"; given up after {attempt} tries"
            if response is not None:
                raise refusal(response, after=after)
            told = f"{self.server}: {problem or type(problem).__name__}{after}"
            raise ServerUnreachable(told) from problem

    async def _try(
        self, send: Callable[[], Any]
    ) -> tuple[httpx.Response | None, httpx.TransportError | None]:
        """The answer, or why there is none."""
        try:
            return await send(), None
        except httpx.TransportError as error:
            return None, error


def _format(format: ResultFormat | str) -> str:
    try:
        return ResultFormat(format).value
    except ValueError:
        served = ", ".join(ResultFormat)
        raise ClientError(f"there is no format {format!r}; there are: {served}") from None

"""The client for asyncio.

    async with AsyncClient("http://127.0.0.1:8000") as client:
        transcript = await client.transcribe("talk.mp3", language="en")
        print(transcript.text)

From code that is not asynchronous: `asr_platform.Client`, with the same methods.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack

import httpx

from asr_platform import streams
from asr_platform.errors import (
    ClientError,
    InvalidArgument,
    NotFound,
    RequestFailed,
    ServerUnreachable,
    WaitTimeout,
)
from asr_platform.models import (
    Accepted,
    Event,
    HistoryPage,
    Model,
    Task,
    TaskRef,
    Transcript,
)
from asr_platform.options import SubmitOptions
from asr_platform.replies import error_message, read, refusal, transcript_of
from asr_platform.session import Session
from asr_platform.status import Health, QueueStatus, ServedModel, ServedModels, Stats, Usage
from asr_platform.submission import submit_recording, submit_url
from asr_platform.uploads import AudioSource, is_url
from asr_platform.waiting import read_task, task_path, wait_for

ResultFormat = Literal["text", "srt", "vtt", "json"]
FORMATS: tuple[ResultFormat, ...] = ("text", "srt", "vtt", "json")
PATIENCE_SECONDS = 600.0
TIMEOUT_SECONDS = 60.0
_Model = TypeVar("_Model", bound=Model)
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class AsyncClient:
    """One server.

    - `server`: its address; default: the environment's `ASR_SERVER`, else http://127.0.0.1:8000.
    - `api_key`: default: the environment's `ASR_API_KEY`; an empty one sends none.
    - `patience_seconds`: how long a request is tried again while the server is away or busy, as
      its `Retry-After` says. Trying again is safe: a submit carries an idempotency key.
    - `timeout_seconds`: how long the server may be silent within one try.
    - `headers` go with every request, as a gateway may want; `verify` and `transport` are httpx's,
      `verify` for a certificate of one's own authority. Proxies are taken from the environment.

    A task may be given as its id, or as an `Accepted`, `Task`, `Transcript` or `Event` of it. An
    instance belongs to one event loop; within it, any number of calls may run at once. A call
    that is cancelled leaves no connection behind; what was submitted goes on.

    Raises WrongAddress and InvalidArgument at once, and everything in `asr_platform.errors` from
    its methods. `repr()` shows neither the key nor a password in the address.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        api_key: str | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        headers: Mapping[str, str] = NO_HEADERS,
        verify: bool | ssl.SSLContext = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._session = Session(
            server,
            api_key=api_key,
            patience_seconds=patience_seconds,
            timeout_seconds=timeout_seconds,
            headers=headers,
            verify=verify,
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session.shown_server!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def server(self) -> str:
        """The server's address, without a slash at its end."""
        return self._session.server

    async def aclose(self) -> None:
        """End all connections; the client cannot be used any more."""
        await self._session.aclose()

    async def transcribe(
        self,
        audio: AudioSource,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Task], object] | None = None,
        idempotency_key: str | None = None,
        filename: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Transcript:
        """Submit a recording, wait, and return its transcript: `submit` and `wait` in one.

        `timeout` in seconds is for both. For subtitles give the transcript to `result`, as
        `format="srt"`.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                accepted = await self.submit(
                    audio, idempotency_key=idempotency_key, filename=filename, **options
                )
        except TimeoutError as error:
            raise WaitTimeout(f"the recording is not submitted after {timeout:g} s") from error
        left = None if timeout is None else timeout - (time.monotonic() - began)
        return transcript_of(await self.wait(accepted, timeout=left, on_progress=on_progress))

    async def submit(
        self,
        audio: AudioSource,
        *,
        idempotency_key: str | None = None,
        filename: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Accepted:
        """Submit a recording; returns once it is stored and its task is durably queued.

        `audio` is a path, `bytes`, or a file opened in binary mode, also an asynchronous one, which
        is read from its beginning. Text that begins with http:// or https:// is a URL, from which
        the server fetches the recording. `filename` is how the file is named otherwise.
        `idempotency_key`: the same key and recording give the same task for 24 h; default: a new
        one for each call. `options`: see `SubmitOptions`.

        Raises OSError for a file that cannot be opened, TypeError for an option that there is not.
        """
        if is_url(audio):
            if filename is not None:
                raise InvalidArgument("what is fetched from a URL has its name from there")
            return await submit_url(self._session, str(audio), idempotency_key, options)
        return await submit_recording(self._session, audio, filename, idempotency_key, options)

    async def wait(
        self,
        task: TaskRef,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Task], object] | None = None,
    ) -> Task:
        """Wait until the task is completed; `result` is its transcript.

        `timeout` in seconds; None: without limit, 0: ask once. `on_progress` is called with the
        task every few seconds, and at its end. Raises TaskNotCompleted if it failed or was
        cancelled, WaitTimeout if it has not ended in time: it goes on, and can be waited for again.
        """
        return await wait_for(self._session, task, timeout, on_progress)

    async def task(self, task: TaskRef) -> Task:
        """The task as it is now; once it is completed, with its transcript as `result`."""
        return await read_task(self._session, task)

    async def transcript(self, task: TaskRef) -> Transcript:
        """The transcript of a completed task. Raises TaskNotCompleted if there is none."""
        return transcript_of(await read_task(self._session, task))

    async def result(self, task: TaskRef, format: ResultFormat | str = "text") -> str:
        """The transcript of a completed task as `text`, `srt` or `vtt`; as `json` the task with it.

        Raises RequestFailed with status 409 while there is none.
        """
        if format not in FORMATS:
            raise InvalidArgument(f"there is no format {format!r}; there are: {', '.join(FORMATS)}")
        path = task_path("result", task)
        return (await self._session.request("GET", path, params={"format": str(format)})).text

    def events(self, task: TaskRef) -> AsyncGenerator[Event, None]:
        """State and progress as they happen, from the present state to the task's end.

        A broken connection is made again, and nothing is told twice. A task that fails is no error
        here: look at the last event.
        """
        return streams.events(self._session, task_path("events", task))

    async def history(self, *, state: str | None = None) -> AsyncGenerator[Task, None]:
        """All tasks of the key's tenant, newest first, page by page; `state`: only those in it."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.history_page(state=state, cursor=cursor, limit=200)
            for task in page.tasks:
                yield task
            cursor = page.next_cursor

    async def history_page(
        self, *, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> HistoryPage:
        """At most `limit` (1 to 200) tasks; `cursor` is `next_cursor` of the page before."""
        return await self._read(
            HistoryPage, "/api/v1/asr/history", state=state, cursor=cursor, limit=limit
        )

    def audio(self, task: TaskRef) -> AsyncGenerator[bytes, None]:
        """The recording as it was submitted, in pieces. A broken download goes on where it was."""
        return streams.recording(self._session, task_path("audio", task))

    async def save_audio(self, task: TaskRef, path: str | os.PathLike[str]) -> Path:
        """Download the recording to `path`, which is written once all of it is there."""
        target = Path(path)
        part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            with part.open("xb") as file:
                async for chunk in self.audio(task):
                    await asyncio.to_thread(file.write, chunk)
            return part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    async def retry(self, task: TaskRef) -> Accepted:
        """Queue a failed or cancelled task again. Raises RequestFailed, 409, for any other."""
        try:
            return read(await self._session.request("POST", task_path("retry", task)), Accepted)
        except RequestFailed as error:
            if error.status != httpx.codes.CONFLICT or error.tries == 1:
                raise
            known = await read_task(self._session, task)
            if known.ended:
                raise
            return Accepted(**known.model_dump(include=set(Accepted.model_fields)))

    async def delete(self, task: TaskRef) -> None:
        """Cancel a task if it has not ended; its recording, results and record are deleted."""
        try:
            await self._session.request("DELETE", task_path("task", task))
        except NotFound as error:
            if error.tries == 1:
                raise  # else it is gone: an earlier try was carried out, and its reply was lost

    async def usage(
        self,
        *,
        first: date | str | None = None,
        last: date | str | None = None,
        tenant: str | None = None,
    ) -> Usage:
        """Audio transcribed by tenant and day, from `first` to `last`, in UTC; default: 30 days."""
        days = {"from": first and str(first), "to": last and str(last)}
        return await self._read(Usage, "/api/v1/usage", **days, tenant=tenant)

    async def queue_status(
        self, *, pool: str = "default", tenant: str | None = None
    ) -> QueueStatus:
        """What waits in a pool, what is in flight, and its workers: of the key's own tenant; with
        the scope `admin` of all, or of `tenant`.
        """
        path = "/api/v1/asr/queue/status"
        return await self._read(QueueStatus, path, pool=pool, tenant=tenant)

    async def stats(
        self, *, minutes: int = 60, pool: str | None = None, tenant: str | None = None
    ) -> Stats:
        """Totals, and arrivals, ends and waits over the last `minutes` (1 to 1440) per pool; of
        whom, as in `queue_status`.
        """
        return await self._read(Stats, "/api/v1/stats", minutes=minutes, pool=pool, tenant=tenant)

    async def models(self) -> list[ServedModel]:
        """The names of pools and models that OpenAI's clients may ask for."""
        return list((await self._read(ServedModels, "/v1/models")).data)

    async def health(self) -> Health:
        """The state of the platform, asked for once; also one that is unavailable is an answer."""
        reply = await self._session.once("/api/v1/health")
        if reply.status_code not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
            raise refusal(reply)
        return read(reply, Health)

    async def check(self) -> None:
        """Raises ServerUnreachable unless an API of this kind answers at the address."""
        reply = await self._session.once("/healthz")
        if reply.status_code != httpx.codes.OK or reply.text.strip() != "ok":
            raise ServerUnreachable(
                f"{self._session.shown_server} is not an asr-platform API: {error_message(reply)}"
            )

    async def ready(self) -> bool:
        """Whether the server takes requests."""
        try:
            return (await self._session.once("/readyz")).is_success
        except ClientError:
            return False

    async def _read(self, model: type[_Model], path: str, **parameters: Any) -> _Model:
        given = {name: value for name, value in parameters.items() if value is not None}
        return read(await self._session.request("GET", path, params=given), model)

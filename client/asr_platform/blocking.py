"""The client for code that is not asynchronous.

with Client("http://127.0.0.1:8000") as client:
    print(client.transcribe("talk.mp3", language="en").text)
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import httpx

from asr_platform.aio import (
    NO_HEADERS,
    PATIENCE_SECONDS,
    TIMEOUT_SECONDS,
    AsyncClient,
    ResultFormat,
)
from asr_platform.loop_thread import LoopThread
from asr_platform.models import Accepted, Event, HistoryPage, Task, TaskRef, Transcript
from asr_platform.options import SubmitOptions
from asr_platform.status import Health, QueueStatus, ServedModel, Stats, Usage
from asr_platform.uploads import AudioSource


class Client:
    """One server: the methods of `AsyncClient`, each of which returns when it is done.

    The arguments and the errors are those of `AsyncClient`. Any number of threads may share one
    instance; it works in notebooks, where a loop is running, and in processes that are forked.
    Requests run in a thread of its own, in which `on_progress` is called too: that cannot call the
    client. Many recordings at once: threads, or `AsyncClient`.

    Ctrl-C in a call cancels it; what was submitted goes on. Close the client, or use it in `with`.
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
        self._thread = LoopThread(
            lambda: AsyncClient(
                server,
                api_key=api_key,
                patience_seconds=patience_seconds,
                timeout_seconds=timeout_seconds,
                headers=headers,
                verify=verify,
                transport=transport,
            )
        )

    def __repr__(self) -> str:
        return repr(self._thread.owned).replace("AsyncClient", type(self).__name__, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def server(self) -> str:
        """The server's address, without a slash at its end."""
        return self._thread.owned.server

    def close(self) -> None:
        """End all connections; the client cannot be used any more."""
        self._thread.close(lambda client: client.aclose())

    def transcribe(
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
        return self._thread.run(
            lambda client: client.transcribe(
                audio,
                timeout=timeout,
                on_progress=on_progress,
                idempotency_key=idempotency_key,
                filename=filename,
                **options,
            )
        )

    def submit(
        self,
        audio: AudioSource,
        *,
        idempotency_key: str | None = None,
        filename: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Accepted:
        """Submit a path, `bytes`, a binary file or a URL; returns once its task is durably queued.

        See `AsyncClient.submit`, and `SubmitOptions` for `options`.
        """
        return self._thread.run(
            lambda client: client.submit(
                audio, idempotency_key=idempotency_key, filename=filename, **options
            )
        )

    def wait(
        self,
        task: TaskRef,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Task], object] | None = None,
    ) -> Task:
        """Wait until the task is completed; `result` is its transcript.

        Raises TaskNotCompleted, and WaitTimeout after `timeout` seconds. See `AsyncClient.wait`.
        """
        return self._thread.run(
            lambda client: client.wait(task, timeout=timeout, on_progress=on_progress)
        )

    def task(self, task: TaskRef) -> Task:
        """The task as it is now; once it is completed, with its transcript as `result`."""
        return self._thread.run(lambda client: client.task(task))

    def transcript(self, task: TaskRef) -> Transcript:
        """The transcript of a completed task. Raises TaskNotCompleted if there is none."""
        return self._thread.run(lambda client: client.transcript(task))

    def result(self, task: TaskRef, format: ResultFormat | str = "text") -> str:
        """The transcript of a completed task as `text`, `srt` or `vtt`; as `json` the task with it.

        Raises RequestFailed with status 409 while there is none.
        """
        return self._thread.run(lambda client: client.result(task, format))

    def events(self, task: TaskRef) -> Iterator[Event]:
        """State and progress as they happen, from the present state to the task's end."""
        return self._thread.iterate(lambda client: client.events(task))

    def history(self, *, state: str | None = None) -> Iterator[Task]:
        """All tasks of the key's tenant, newest first, page by page; `state`: only those in it."""
        return self._thread.iterate(lambda client: client.history(state=state))

    def history_page(
        self, *, state: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> HistoryPage:
        """At most `limit` (1 to 200) tasks; `cursor` is `next_cursor` of the page before."""
        return self._thread.run(
            lambda client: client.history_page(state=state, cursor=cursor, limit=limit)
        )

    def audio(self, task: TaskRef) -> Iterator[bytes]:
        """The recording as it was submitted, in pieces. A broken download goes on where it was."""
        return self._thread.iterate(lambda client: client.audio(task))

    def save_audio(self, task: TaskRef, path: str | os.PathLike[str]) -> Path:
        """Download the recording to `path`, which is written once all of it is there."""
        return self._thread.run(lambda client: client.save_audio(task, path))

    def retry(self, task: TaskRef) -> Accepted:
        """Queue a failed or cancelled task again. Raises RequestFailed, 409, for any other."""
        return self._thread.run(lambda client: client.retry(task))

    def delete(self, task: TaskRef) -> None:
        """Cancel a task if it has not ended; its recording, results and record are deleted."""
        self._thread.run(lambda client: client.delete(task))

    def usage(
        self,
        *,
        first: date | str | None = None,
        last: date | str | None = None,
        tenant: str | None = None,
    ) -> Usage:
        """Audio transcribed by tenant and day, from `first` to `last`, in UTC; default: 30 days."""
        return self._thread.run(lambda client: client.usage(first=first, last=last, tenant=tenant))

    def queue_status(self, *, pool: str = "default", tenant: str | None = None) -> QueueStatus:
        """What waits in a pool, what is in flight, and its workers: of the key's own tenant; with
        the scope `admin` of all, or of `tenant`.
        """
        return self._thread.run(lambda client: client.queue_status(pool=pool, tenant=tenant))

    def stats(
        self, *, minutes: int = 60, pool: str | None = None, tenant: str | None = None
    ) -> Stats:
        """Totals, and arrivals, ends and waits over the last `minutes` (1 to 1440) per pool; of
        whom, as in `queue_status`.
        """
        return self._thread.run(
            lambda client: client.stats(minutes=minutes, pool=pool, tenant=tenant)
        )

    def models(self) -> list[ServedModel]:
        """The names of pools and models that OpenAI's clients may ask for."""
        return self._thread.run(lambda client: client.models())

    def health(self) -> Health:
        """The state of the platform, asked for once; also one that is unavailable is an answer."""
        return self._thread.run(lambda client: client.health())

    def check(self) -> None:
        """Raises ServerUnreachable unless an API of this kind answers at the address."""
        self._thread.run(lambda client: client.check())

    def ready(self) -> bool:
        """Whether the server takes requests."""
        return self._thread.run(lambda client: client.ready())

"""The client for code that is not asynchronous: the same calls, one after the other.

    with BlockingClient("http://127.0.0.1:8000") as client:
        print(client.transcribe("talk.mp3", SubmitOptions(language="en"), format="srt"))

Many files at once are quicker through `asr_cli.client.AsrClient`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from asr_cli.client import AsrClient, AudioSource, SubmitOptions
from asr_core.render import ResultFormat
from asr_core.result import Transcript

DEFAULT_SERVER = "http://127.0.0.1:8000"


class BlockingClient:
    """One server, from one thread. Errors and retries are those of `AsrClient`. Close it."""

    def __init__(self, server: str = DEFAULT_SERVER, **settings: Any) -> None:
        """`settings` are those of `AsrClient`: `api_key`, `patience_seconds`."""
        self._client = AsrClient(server, **settings)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._runner.run(self._client.__aexit__(None, None, None))
        self._runner.close()

    def submit(
        self,
        audio: AudioSource,
        options: SubmitOptions = SubmitOptions(),
        *,
        idempotency_key: str = "",
        filename: str | None = None,
    ) -> str:
        """Upload a recording (path, bytes, or a file opened in binary mode); the id of its task."""
        key = idempotency_key or None
        return self._runner.run(
            self._client.submit(audio, options, idempotency_key=key, filename=filename)
        )

    def submit_url(
        self, url: str, options: SubmitOptions = SubmitOptions(), *, idempotency_key: str = ""
    ) -> str:
        """Have the server fetch a recording; the id of its task."""
        key = idempotency_key or None
        return self._runner.run(self._client.submit_url(url, options, idempotency_key=key))

    def wait(
        self, task_id: str, on_progress: Callable[[str, float], None] | None = None
    ) -> dict[str, Any]:
        """Until the task has ended; its last reply."""
        return self._runner.run(self._client.wait(task_id, on_progress))

    def result(self, task_id: str, format: ResultFormat | str = ResultFormat.TEXT) -> str:
        """The transcript of a completed task: `text`, `srt`, `vtt` or `json`."""
        return self._runner.run(self._client.result(task_id, format))

    def transcript(self, task_id: str) -> Transcript:
        """The transcript of a completed task with its segments and words."""
        return self._runner.run(self._client.transcript(task_id))

    def transcribe(
        self,
        audio: AudioSource,
        options: SubmitOptions = SubmitOptions(),
        *,
        format: ResultFormat | str = ResultFormat.TEXT,
        on_progress: Callable[[str, float], None] | None = None,
    ) -> str:
        """Submit, wait, fetch; the text."""
        return self._runner.run(
            self._client.transcribe(audio, options, format=format, on_progress=on_progress)
        )

    def retry(self, task_id: str) -> None:
        """Queue a failed or cancelled task again."""
        self._runner.run(self._client.retry(task_id))

    def delete(self, task_id: str) -> None:
        """Cancel a task if need be; its recording, results and record are deleted."""
        self._runner.run(self._client.delete(task_id))


def transcribe_file(
    audio: AudioSource,
    server: str = DEFAULT_SERVER,
    *,
    api_key: str | None = None,
    format: ResultFormat | str = ResultFormat.TEXT,
    **options: Any,
) -> str:
    """The transcript of one recording; `options` are those of `SubmitOptions`."""
    with BlockingClient(server, api_key=api_key) as client:
        return client.transcribe(audio, SubmitOptions(**options), format=format)

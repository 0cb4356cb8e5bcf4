"""Deprecated, for one release: the client as it was called before `asr_platform.AsyncClient`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from asr_core.result import Transcript
from asr_platform import (
    AsyncClient,
    AudioSource,
    ClientError,
    ResultFormat,
    ServerUnreachable,
    SubmitOptions,
    Task,
    TaskNotCompleted,
    WrongAddress,
)

__all__ = [
    "AsrClient",
    "AudioSource",
    "ClientError",
    "ResultFormat",
    "ServerUnreachable",
    "SubmitOptions",
    "TaskNotCompleted",
    "WrongAddress",
]
Progress = Callable[[str, float], None]

warnings.warn(
    "asr_cli.client is now `from asr_platform import AsyncClient`: docs/python-client.md",
    DeprecationWarning,
    stacklevel=2,
)


class AsrClient:
    """`AsyncClient` with the arguments and results of the release before."""

    def __init__(self, server: str, **settings: Any) -> None:
        self._client = AsyncClient(server, **settings)
        self.server = self._client.server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def check(self) -> None:
        await self._client.check()

    async def ready(self) -> bool:
        return await self._client.ready()

    async def submit(
        self,
        audio: AudioSource,
        options: SubmitOptions = SubmitOptions(),
        *,
        idempotency_key: str | None = None,
        filename: str | None = None,
    ) -> str:
        accepted = await self._client.submit(
            audio, idempotency_key=idempotency_key, filename=filename, **options
        )
        return accepted.task_id

    async def submit_url(
        self,
        url: str,
        options: SubmitOptions = SubmitOptions(),
        *,
        idempotency_key: str | None = None,
    ) -> str:
        return await self.submit(url, options, idempotency_key=idempotency_key)

    async def wait(self, task_id: str, on_progress: Progress | None = None) -> dict[str, Any]:
        task = await self._client.wait(task_id, on_progress=_told(on_progress))
        return task.model_dump(mode="json")

    async def result(self, task_id: str, format: ResultFormat | str = "text") -> str:
        return await self._client.result(task_id, format)

    async def transcript(self, task_id: str) -> Transcript:
        return Transcript.model_validate((await self._client.transcript(task_id)).model_dump())

    async def transcribe(
        self,
        audio: AudioSource,
        options: SubmitOptions = SubmitOptions(),
        *,
        format: ResultFormat | str = "text",
        on_progress: Progress | None = None,
    ) -> str:
        task_id = await self.submit(audio, options)
        await self.wait(task_id, on_progress)
        return await self.result(task_id, format)

    async def retry(self, task_id: str) -> None:
        await self._client.retry(task_id)

    async def delete(self, task_id: str) -> None:
        await self._client.delete(task_id)


def _told(on_progress: Progress | None) -> Callable[[Task], object] | None:
    return on_progress and (lambda task: on_progress(task.status, task.progress))

"""Deprecated, for one release: the client as it was called before `asr_platform.Client`."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any, Self, cast

from asr_core.result import Transcript
from asr_platform.address import DEFAULT_SERVER
from asr_platform.loop_thread import LoopThread

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # this module has its own
    from asr_cli.client import AsrClient, AudioSource, Progress, ResultFormat, SubmitOptions

__all__ = ["BlockingClient", "SubmitOptions", "transcribe_file"]

warnings.warn(
    "asr_cli.blocking_client is now `from asr_platform import Client`: docs/python-client.md",
    DeprecationWarning,
    stacklevel=2,
)


class BlockingClient:
    """`Client` with the arguments and results of the release before."""

    def __init__(self, server: str = DEFAULT_SERVER, **settings: Any) -> None:
        self._thread = LoopThread(lambda: AsrClient(server, **settings))

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
        self._thread.close(lambda client: client.__aexit__(None, None, None))

    def submit(
        self, audio: AudioSource, options: SubmitOptions = SubmitOptions(), **more: Any
    ) -> str:
        return self._thread.run(lambda client: client.submit(audio, options, **more))

    def submit_url(self, url: str, options: SubmitOptions = SubmitOptions(), **more: Any) -> str:
        return self._thread.run(lambda client: client.submit_url(url, options, **more))

    def wait(self, task_id: str, on_progress: Progress | None = None) -> dict[str, Any]:
        return self._thread.run(lambda client: client.wait(task_id, on_progress))

    def result(self, task_id: str, format: ResultFormat | str = "text") -> str:
        return self._thread.run(lambda client: client.result(task_id, format))

    def transcript(self, task_id: str) -> Transcript:
        return self._thread.run(lambda client: client.transcript(task_id))

    def transcribe(
        self,
        audio: AudioSource,
        options: SubmitOptions = SubmitOptions(),
        *,
        format: ResultFormat | str = "text",
        on_progress: Progress | None = None,
    ) -> str:
        return self._thread.run(
            lambda client: client.transcribe(audio, options, format=format, on_progress=on_progress)
        )

    def retry(self, task_id: str) -> None:
        self._thread.run(lambda client: client.retry(task_id))

    def delete(self, task_id: str) -> None:
        self._thread.run(lambda client: client.delete(task_id))


def transcribe_file(
    audio: AudioSource,
    server: str = DEFAULT_SERVER,
    *,
    api_key: str | None = None,
    format: ResultFormat | str = "text",
    **options: Any,
) -> str:
    """The transcript of one recording; `options` are those of `SubmitOptions`."""
    with BlockingClient(server, api_key=api_key) as client:
        return client.transcribe(audio, cast("SubmitOptions", options), format=format)

"""What all tests have in common."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asr_cli.models.fetch import Fetcher
from asr_cli.models.progress import FetchConsole
from asr_core.errors import AsrError
from asr_core.models import WHISPER_BASE, ModelCache
from asr_core.settings.models import ModelSettings
from asr_platform import AsyncClient, Client


def pytest_runtest_setup() -> None:
    """A command that a test ran in this process leaves a log handler to a stream that is closed."""
    logger = logging.getLogger()
    for handler in logger.handlers[:]:
        if getattr(getattr(handler, "stream", None), "closed", False):
            logger.removeHandler(handler)


class DrivenClient:
    """An `AsyncClient` whose methods return when they are done, so that one test fits both."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._client = AsyncClient(*arguments, **settings)
        self._runner = asyncio.Runner()

    def __enter__(self) -> DrivenClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            returned = method(*arguments, **named)
            if inspect.isawaitable(returned):
                return self._runner.run(_awaited(returned))
            return self._items(returned)

        return call

    def _items(self, items: AsyncGenerator[Any, None]) -> Iterator[Any]:
        try:
            while True:
                yield self._runner.run(_awaited(anext(items)))
        except StopAsyncIteration:
            return
        finally:
            self._runner.run(items.aclose())


async def _awaited(each: Awaitable[Any]) -> Any:
    return await each


@pytest.fixture(params=[Client, DrivenClient], ids=["Client", "AsyncClient"])
def client_class(request: pytest.FixtureRequest) -> Any:
    """Each of the two clients of `asr_platform`, to be used without `await`."""
    return request.param


@pytest.fixture(scope="session")
def whisper_base() -> Path:
    """The folder of Whisper base, fetched once per machine into the user's cache, or what
    `ASR_TEST_WHISPER` names. Skips where no source has it.
    """
    if given := os.environ.get("ASR_TEST_WHISPER"):
        return Path(given)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    settings = ModelSettings()
    fetcher = Fetcher(
        ModelCache(home / "asr-platform" / "models"),
        FetchConsole(),
        mirrors=settings.model_mirror,
        offline=settings.offline,
    )
    try:
        return fetcher.cached(WHISPER_BASE) or fetcher.fetch(WHISPER_BASE)
    except AsrError as error:
        pytest.skip(error.message)

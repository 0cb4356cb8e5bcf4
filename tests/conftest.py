"""What all tests have in common."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Iterator
from typing import Any

import pytest

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

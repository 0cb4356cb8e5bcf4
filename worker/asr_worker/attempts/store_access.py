"""The store as a worker uses it: calls are retried for a minute while it is unavailable.

After that the task gets the error and is released, and nothing is claimed until the store answers
again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from asr_core.backoff import backoff_seconds
from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.store import Store
from asr_core.task import audio_path
from asr_worker.in_flight.tasks import InFlightTask

PATIENCE_SECONDS = 60.0
Result = TypeVar("Result")
_log = get_logger(__name__)


class StoreAccess:
    """Downloads audio and writes results of tasks in flight."""

    def __init__(self, store: Store, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._store = store
        self._patience_seconds = patience_seconds
        self.problem = ""  # the last error; empty again once a call succeeds

    async def usable(self) -> bool:
        """False while the store still fails after an error; checks it only then."""
        if self.problem:
            try:
                await self._store.ready()
            except DependencyError as error:
                self.problem = error.message
                return False
            self.problem = ""
        return True

    async def download(self, task: InFlightTask, file: Path, on_chunk: Callable[[], None]) -> int:
        """Copies the task's audio into `file`; returns its bytes. Calls `on_chunk` on progress."""

        async def copy() -> int:
            size = 0
            local = await asyncio.to_thread(file.open, "wb")
            with local:
                async with aclosing(self._store.stream(audio_path(task.task_id))) as chunks:
                    async for chunk in chunks:
                        size += await asyncio.to_thread(local.write, chunk)
                        on_chunk()
            return size

        return await self._patiently(task, copy)

    async def put(self, task: InFlightTask, path: str, data: bytes) -> int:
        """Writes a result."""
        return await self._patiently(task, lambda: self._store.put(path, data))

    async def delete(self, path: str) -> None:
        """Deletes a refused result. Best effort: retention removes it otherwise."""
        try:
            await self._store.delete(path)
        except DependencyError as error:
            _log.warning("result of a lost attempt not deleted", path=path, error=str(error))

    async def _patiently(self, task: InFlightTask, act: Callable[[], Awaitable[Result]]) -> Result:
        give_up_at = time.monotonic() + self._patience_seconds
        failures = 0
        while True:
            try:
                result = await act()
            except DependencyError as error:
                self.problem = error.message
                _log.warning("store not usable", error=str(error), failures=failures + 1)
                if task.lost is not None or time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(backoff_seconds(failures, first=0.2, most=5.0))
                failures += 1
            else:
                self.problem = ""
                return result

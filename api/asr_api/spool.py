"""Uploads on their way in: a local folder of bounded total size, emptied of what a crash left
behind.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from asr_api.errors import SpoolFull

_FLUSH_BYTES = 1024 * 1024
_FOLDER_PREFIX = "uploads-"
_LOCK_NAME = "in-use"
_STARTING_NAME = "starting"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Spool:
    """This process's own folder under `root`; all its files together never pass `max_bytes`."""

    def __init__(self, root: Path | None, max_bytes: int) -> None:
        self._root = root or Path(tempfile.gettempdir()) / f"asr-spool-{os.getuid()}"
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._folder: Path | None = None
        self._lock: BinaryIO | None = None

    @property
    def used_bytes(self) -> int:
        return self._used_bytes

    @property
    def writable(self) -> bool:
        return self._folder is not None and os.access(self._folder, os.W_OK | os.X_OK)

    def open(self) -> None:
        """Make the folder, and remove those whose process is dead: their lock is free."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._root / _STARTING_NAME).open("wb") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            for folder in self._root.glob(f"{_FOLDER_PREFIX}*"):
                _remove_if_abandoned(folder)
            folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=self._root))
            lock = (folder / _LOCK_NAME).open("wb")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._folder, self._lock = folder, lock

    def close(self) -> None:
        """Remove the folder and all in it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
        self._folder = self._lock = None

    def file(self) -> SpoolFile:
        """A new empty file; use it as an async context manager, which removes it."""
        if self._folder is None:
            raise SpoolFull("The upload folder is not open.")
        descriptor, name = tempfile.mkstemp(prefix="upload-", dir=self._folder)
        return SpoolFile(self, Path(name), os.fdopen(descriptor, "wb", buffering=0))

    def _reserve(self, count: int) -> None:
        if self._used_bytes + count > self._max_bytes:
            raise SpoolFull(
                f"The uploads in flight fill the upload folder ({self._max_bytes} bytes)."
            )
        self._used_bytes += count

    def _free(self, count: int) -> None:
        self._used_bytes -= count


class SpoolFile:
    """One upload: bytes are counted and hashed (SHA-256) while they are written."""

    def __init__(self, spool: Spool, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.size = 0
        self._spool = spool
        self._file = file
        self._pending = bytearray()
        self._sha256 = hashlib.sha256()

    async def __aenter__(self) -> SpoolFile:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await asyncio.to_thread(self._remove)  # a large file takes its time to go
        finally:
            self._spool._free(self.size)

    async def write(self, data: bytes) -> None:
        """Take `data`; the disk gets larger pieces, off the event loop. Raises SpoolFull."""
        self._spool._reserve(len(data))
        self.size += len(data)
        self._pending += data
        if len(self._pending) >= _FLUSH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Bring everything to the disk."""
        pending, self._pending = bytes(self._pending), bytearray()
        if pending:
            with _disk_full_is_spool_full():
                await asyncio.to_thread(self._write_and_hash, pending)

    def sha256(self) -> str:
        """Hex digest of what was flushed."""
        return self._sha256.hexdigest()

    def _remove(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write_and_hash(self, data: bytes) -> None:
        self._sha256.update(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


@contextmanager
def _disk_full_is_spool_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise SpoolFull(
                "The disk under the upload folder is full.", retry_after_seconds=30
            ) from error
        raise


def _remove_if_abandoned(folder: Path) -> None:
    try:
        with (folder / _LOCK_NAME).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return

"""Spool folder for uploads in flight: bounded in size, cleaned of leftovers from
crashed processes.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from uuid import uuid4

from asr_api.errors import SpoolFull
from asr_api.http.file_limits import UPLOADS_SHARE, files_allowed
from asr_core.process.private_folder import ProcessFolder, temporary_folder

_FLUSH_BYTES = 256 * 1024
_UNWRITTEN_BYTES = 16 * 1024 * 1024  # of all uploads together: beyond, every chunk goes to the disk
_RESERVED_SHARE = 4  # 1/n is reserved
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}


class Spool:
    """This process's own folder under `root`, limited to `max_bytes` in total and to a share of the
    file descriptors. A quarter of both is reserved for tenants without an upload in flight, so one
    tenant's slow uploads cannot block the others.
    """

    def __init__(self, root: Path | None, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._max_files = 0
        self._files: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._unwritten_bytes = 0
        self._folder: ProcessFolder | None = None

    @property
    def used_bytes(self) -> int:
        return self._bytes.total()

    @property
    def writable(self) -> bool:
        return self._folder is not None and os.access(self._folder.path, os.W_OK | os.X_OK)

    def open(self) -> None:
        """Create the folder; remove folders of dead processes."""
        root = self._root or temporary_folder("asr-spool")
        self._folder = ProcessFolder(root, prefix="uploads-", lock_name="in-use")
        self._max_files = max(1, files_allowed() // UPLOADS_SHARE)

    def close(self) -> None:
        """Remove the folder and all in it."""
        if self._folder is not None:
            self._folder.close()
        self._folder = None

    def file(self, tenant: str = "") -> SpoolFile:
        """A new empty file; use it as an async context manager, which removes it. Without a
        tenant no reserve applies. Raises SpoolFull.
        """
        if self._folder is None:
            raise SpoolFull("The upload folder is not open.")
        if self._files.total() >= _open_to(
            self._max_files, others=self._files[tenant] if tenant else 0
        ):
            raise SpoolFull(
                "This server is already receiving as many uploads as it accepts at a time."
            )
        self._files[tenant] += 1
        return SpoolFile(self, self._folder.path / f"upload-{uuid4().hex}", tenant)

    def _reserve(self, file: SpoolFile, count: int) -> None:
        others = self._bytes[file.tenant] - file.size if file.tenant else 0
        if self.used_bytes + count > _open_to(self._max_bytes, others=others):
            raise SpoolFull(
                f"Uploads in progress fill the upload folder ({self._max_bytes} bytes)."
            )
        self._bytes[file.tenant] += count
        self._unwritten_bytes += count

    @property
    def _holds_much(self) -> bool:
        return self._unwritten_bytes > _UNWRITTEN_BYTES

    def _written(self, count: int) -> None:
        self._unwritten_bytes -= count

    def _free(self, file: SpoolFile) -> None:
        self._files[file.tenant] -= 1
        self._bytes[file.tenant] -= file.size
        self._files, self._bytes = +self._files, +self._bytes


class SpoolFile:
    """One upload: bytes are counted and hashed (SHA-256) while they are written.

    The file and its descriptor are opened with the first flush: an upload of a few bytes needs
    neither.
    """

    def __init__(self, spool: Spool, path: Path, tenant: str) -> None:
        self.path = path
        self.tenant = tenant
        self.size = 0
        self._spool = spool
        self._file: BinaryIO | None = None
        self._in_use = threading.Lock()
        self._removed = False
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
            await asyncio.to_thread(self._remove)  # unlinking a large file is slow
        finally:
            self._spool._written(len(self._pending))
            self._spool._free(self)

    async def write(self, data: bytes) -> None:
        """Buffer `data`; flushed in larger blocks off the event loop. Raises SpoolFull."""
        self._spool._reserve(self, len(data))
        self.size += len(data)
        self._pending += data
        if len(self._pending) >= _FLUSH_BYTES or self._spool._holds_much:
            await self.flush()

    async def flush(self) -> None:
        """Write everything to disk; from now on `path` exists."""
        with _shortage_as_spool_full():
            await asyncio.to_thread(self._write_and_hash)
        self._spool._written(len(self._pending))
        self._pending.clear()

    def sha256(self) -> str:
        """Hex digest of what was flushed."""
        return self._sha256.hexdigest()

    def _remove(self) -> None:
        with self._in_use:  # a cancelled write continues in its thread
            self._removed = True
            if self._file is not None:
                self._file.close()
                self.path.unlink(missing_ok=True)

    def _write_and_hash(self) -> None:
        with self._in_use, memoryview(self._pending) as data:
            if self._removed:
                return
            if self._file is None:
                self._file = self.path.open("xb", buffering=0)
            self._sha256.update(data)
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])


def _open_to(most: int, *, others: int) -> int:
    """The part of `most` open to a tenant that already uses `others`."""
    return most - most // _RESERVED_SHARE if others else most


@contextmanager
def _shortage_as_spool_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise SpoolFull(
                "The disk under the upload folder is full.", retry_after_seconds=30
            ) from error
        if error.errno in _NO_DESCRIPTOR:
            raise SpoolFull("This server has no file descriptor left for an upload.") from error
        raise

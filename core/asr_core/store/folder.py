"""A store in a folder: one file per object, complete and on the disk before its name exists.

obstore's local store is not used: it renames into place without `fsync`, so that an accepted
upload could be empty after a power cut. Blocking calls run in threads.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import uuid4

from asr_core.errors import StoreFull, StoreUnavailable
from asr_core.store.backend import (
    CHUNK_BYTES,
    UNFINISHED,
    StoredObject,
    StoreObjectMissing,
    blocks,
)

_READY_SECONDS = 10.0
_PROBE_BYTES = 64 * 1024  # a full disk shows when it is written to, a quota nowhere else
_LISTING_BATCH = 1000
_PUBLISH_ATTEMPTS = 5
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

T = TypeVar("T")


class FolderStore:
    """Objects as files under `root`; drafts of unfinished writes lie in `root/.unfinished`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._drafts = root / UNFINISHED

    async def put(self, path: str, chunks: AsyncIterable[bytes]) -> int:
        """Write a draft, fsync it, and only then give it its name."""
        with self._errors(path, writing=True):
            draft, file = await _in_thread(self._open_draft)
        size = 0
        try:
            async with aclosing(blocks(chunks, CHUNK_BYTES)) as pieces:
                async for piece in pieces:
                    with self._errors(path, writing=True):
                        await _in_thread(file.write, piece)
                    size += len(piece)
            with self._errors(path, writing=True):
                await _in_thread(_publish, file, draft, self._root / path)
        except BaseException:
            await _in_thread(_discard, file, draft)
            raise
        return size

    async def get(self, path: str) -> bytes:
        """Read the whole file."""
        with self._errors(path):
            return await _in_thread((self._root / path).read_bytes)

    async def stream(self, path: str, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """Read chunk by chunk; a file that is deleted meanwhile is still read to its end."""
        with self._errors(path):
            file = await _in_thread(_open_at, self._root / path, start)
        with file:
            left = None if end is None else end - start
            while left is None or left > 0:
                wanted = CHUNK_BYTES if left is None else min(left, CHUNK_BYTES)
                with self._errors(path):
                    chunk = await _in_thread(file.read, wanted)
                if not chunk:
                    return
                yield chunk
                left = None if left is None else left - len(chunk)

    async def size(self, path: str) -> int:
        """Return the file's size in bytes."""
        with self._errors(path):
            return await _in_thread(_file_size, self._root / path)

    async def delete(self, path: str) -> None:
        """Remove the file, and the folders that it leaves empty."""
        with self._errors(path):
            await _in_thread(_remove, self._root / path, self._root)

    async def list(self, prefix: str) -> AsyncGenerator[StoredObject, None]:
        """Yield the files below a folder, in no promised order."""
        found = _walk(self._root, self._root / prefix)
        while True:
            with self._errors(prefix):
                batch = await _in_thread(lambda: [*islice(found, _LISTING_BATCH)])
            for item in batch:
                yield item
            if len(batch) < _LISTING_BATCH:
                return

    async def sweep_unfinished(self, older_than_seconds: float) -> int:
        """Remove drafts not written to for `older_than_seconds`."""
        with self._errors(UNFINISHED):
            return await _in_thread(_sweep, self._drafts, time.time() - older_than_seconds)

    async def ready(self) -> None:
        """Check that the folder is there, or can be made, may be written, and has room."""
        with self._errors("", writing=True):
            async with asyncio.timeout(_READY_SECONDS):
                writable = await asyncio.to_thread(self._is_writable)
        if not writable:
            raise StoreUnavailable(f"store folder {self._root} is not writable: check its owner")

    def _is_writable(self) -> bool:
        _make_folders(self._drafts)
        if not os.access(self._drafts, os.W_OK | os.X_OK):
            return False
        draft, file = self._open_draft()
        try:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
        finally:
            _discard(file, draft)
        return True

    def _open_draft(self) -> tuple[Path, BinaryIO]:
        _make_folders(self._drafts)
        draft = self._drafts / uuid4().hex
        return draft, draft.open("xb")

    @contextmanager
    def _errors(self, path: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, _MISSING) and not writing:
                raise StoreObjectMissing(path) from error
            why = f"store folder {self._root}, object {path!r}: {error.strerror or error!r}"
            if error.errno in _FULL:
                raise StoreFull(f"the store is full: {why}") from error
            raise StoreUnavailable(why) from error


async def _in_thread(work: Callable[..., T], *args: object) -> T:
    """Run in a thread and, when cancelled, wait for it: its file is closed and removed next."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()  # looked at, so that asyncio does not report it as lost
        raise cancelled
    return running.result()


def _publish(file: BinaryIO, draft: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    for attempt in range(1, _PUBLISH_ATTEMPTS + 1):
        try:
            _make_folders(target.parent)
            os.replace(draft, target)
            _sync_folder(target.parent)
            return
        except FileNotFoundError as error:
            # A delete next to us took away the folder that it left empty: make it again.
            if attempt == _PUBLISH_ATTEMPTS:
                raise OSError(errno.EIO, f"{target.parent} keeps disappearing") from error


def _discard(file: BinaryIO, draft: Path) -> None:
    with suppress(OSError):
        file.close()  # on a full disk it tries once more to flush
    with suppress(OSError):
        draft.unlink(missing_ok=True)


def _make_folders(folder: Path) -> None:
    """Make `folder` and its parents so that they, too, survive a power cut."""
    missing = [folder, *folder.parents]
    missing = missing[: next(at for at, one in enumerate(missing) if one.is_dir())]
    for one in reversed(missing):
        with suppress(
            FileExistsError
        ):  # `Path.mkdir(exist_ok=True)` raises it where one goes again
            os.mkdir(one)
        _sync_folder(one.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open_at(path: Path, start: int) -> BinaryIO:
    file = path.open("rb")
    file.seek(start)
    return file


def _file_size(path: Path) -> int:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return path.stat().st_size


def _remove(path: Path, root: Path) -> None:
    with suppress(*_MISSING):
        path.unlink()
    for folder in path.parents:
        if folder == root:
            return
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return  # not empty


def _walk(root: Path, folder: Path) -> Iterator[StoredObject]:
    waiting = [str(folder)]
    while waiting:
        with suppress(*_MISSING), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                path = os.path.relpath(entry.path, root)
                if entry.is_dir(follow_symlinks=False):
                    if path != UNFINISHED:
                        waiting.append(entry.path)
                    continue
                with suppress(FileNotFoundError):  # deleted while we list
                    found = entry.stat()
                    yield StoredObject(path, found.st_size, found.st_mtime)


def _sweep(drafts: Path, before: float) -> int:
    swept = 0
    with suppress(FileNotFoundError), os.scandir(drafts) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < before:
                    os.unlink(entry.path)
                    swept += 1
    return swept

"""The store: original audio and results, in a folder or a bucket, behind one small interface.

An object is complete or absent: no reader ever sees half of one, whatever happens to its writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from asr_core.errors import InvalidSetting
from asr_core.store.backend import (
    CHUNK_BYTES,
    Backend,
    StoredObject,
    StoreObjectMissing,
    check_path,
    check_prefix,
    one_chunk,
)
from asr_core.store.bucket import BucketStore
from asr_core.store.folder import FolderStore

__all__ = ["Store", "StoreObjectMissing", "StoredObject"]

BUCKET_SCHEMES = ("s3", "gs", "az")


class Store:
    """Every object of the platform, by path; made by `Store.open`.

    Paths are relative, of letters, digits and `._=@+-`; any other raises ValueError. Every
    method may raise StoreUnavailable, those that write StoreFull, too.
    """

    def __init__(self, url: str, backend: Backend) -> None:
        self.url = url
        self._backend = backend

    @classmethod
    def open(cls, url: str) -> Store:
        """Open `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/…`.

        Touches nothing yet, `ready` does. Raises InvalidSetting for what cannot be served.
        """
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.netloc in {"", "localhost"} and len(parts.path) > 1:
            return cls(url, FolderStore(Path(unquote(parts.path))))
        if parts.scheme in BUCKET_SCHEMES and parts.hostname == parts.netloc:
            return cls(url, BucketStore(url))
        raise InvalidSetting(
            f"store URL of scheme {parts.scheme!r} is not supported: give file:///folder, "
            "s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, "
            "and credentials in the environment"
        )

    async def put(self, path: str, chunks: AsyncIterable[bytes] | bytes) -> int:
        """Store an object and return its size; in a folder it is on the disk by then.

        Raises what `chunks` raises, and then leaves nothing behind. Replaces an older object.
        """
        stream = one_chunk(chunks) if isinstance(chunks, bytes) else chunks
        return await self._backend.put(check_path(path), stream)

    async def put_file(self, path: str, file: Path) -> int:
        """Store a copy of a local file; return its size."""
        check_path(path)
        async with aclosing(_file_chunks(file)) as chunks:
            return await self._backend.put(path, chunks)

    async def get(self, path: str) -> bytes:
        """Return a whole object; for small ones. Raises StoreObjectMissing."""
        return await self._backend.get(check_path(path))

    async def stream(
        self, path: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield an object's bytes from `start` up to, not including, `end`, in chunks of ≤ 1 MiB.

        The range is clipped to the object. Raises StoreObjectMissing at the first chunk.
        """
        check_path(path)
        if start < 0 or (end is not None and end < start):
            raise ValueError(f"bad range {start}-{end}: start must be ≥ 0 and end ≥ start")
        async with aclosing(self._backend.stream(path, start, end)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def download(self, path: str, file: Path) -> int:
        """Copy an object into a local file; return its size. On failure the file is removed."""
        size = 0
        local = await asyncio.to_thread(file.open, "wb")
        try:
            with local:
                async with aclosing(self.stream(path)) as chunks:
                    async for chunk in chunks:
                        size += await asyncio.to_thread(local.write, chunk)
        except BaseException:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            raise
        return size

    async def size(self, path: str) -> int:
        """Return an object's size in bytes. Raises StoreObjectMissing."""
        return await self._backend.size(check_path(path))

    async def delete(self, path: str) -> None:
        """Remove an object; one that is missing is fine."""
        await self._backend.delete(check_path(path))

    async def delete_prefix(self, prefix: str) -> int:
        """Remove every object below a folder, such as `results/{id}/`; return how many."""
        if not prefix:
            raise ValueError("an empty prefix would delete the whole store: name a folder")
        found = [item.path async for item in self.list(prefix)]
        for path in found:
            await self._backend.delete(path)
        return len(found)

    def list(self, prefix: str) -> AsyncGenerator[StoredObject, None]:
        """Yield the objects below a folder, in any order; `""` lists the whole store."""
        return self._backend.list(check_prefix(prefix))

    async def sweep_unfinished(self, older_than_seconds: float) -> int:
        """Remove what dead writers left half written in a folder; return how many.

        A bucket does this by its own lifecycle rule (AbortIncompleteMultipartUpload).
        """
        return await self._backend.sweep_unfinished(older_than_seconds)

    async def ready(self) -> None:
        """Check cheaply that the store answers and, for a folder, that it may be written."""
        await self._backend.ready()


async def _file_chunks(file: Path) -> AsyncGenerator[bytes, None]:
    source = await asyncio.to_thread(file.open, "rb")
    with source:
        while chunk := await asyncio.to_thread(source.read, CHUNK_BYTES):
            yield chunk

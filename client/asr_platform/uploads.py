"""A recording as a caller has it: a path, its bytes, or an open file; and the form that carries it.

A request may be sent again, so that each try reads the recording from its beginning.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from asr_platform.errors import InvalidArgument


class AsyncFile(Protocol):
    """A file whose reads are awaited: of anyio, aiofiles, or an UploadFile of Starlette."""

    def read(self, size: int = -1, /) -> Awaitable[bytes]: ...


AudioSource = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | AsyncFile
CHUNK_BYTES = 256 * 1024
_IN_MEMORY_BYTES = 32 * 1024 * 1024
_NAME = "recording"
_WRONG = "a recording is a path, bytes, or a file opened for reading in binary mode, not "


def is_url(source: object) -> bool:
    """Whether it is text that the server is to fetch from, not a path."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


@dataclass(frozen=True)
class Upload:
    """A recording that can be read again and again; `name` is its file name."""

    name: str
    _source: Any

    @classmethod
    async def of(cls, source: AudioSource, filename: str | None = None) -> Upload:
        """What cannot be read twice, such as a pipe, is copied into a temporary file first.

        Raises OSError for a file that cannot be opened, InvalidArgument for what is no recording.
        """
        if isinstance(source, bytes | bytearray | memoryview):
            return cls(filename or _NAME, bytes(source))
        if isinstance(source, str | os.PathLike):
            path = Path(source).expanduser()
            with path.open("rb"):  # now, not after the connection
                return cls(filename or path.name, path)
        if isinstance(source, io.TextIOBase) or not hasattr(source, "read"):
            raise InvalidArgument(f"{_WRONG}{source!r}")
        name = getattr(source, "filename", None) or getattr(source, "name", None)
        name = filename or (Path(name).name if isinstance(name, str) else "") or _NAME
        if not await _can_seek(source):
            source = await _copied(source)
        return cls(name, source)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Any, int | None]]:
        """The file at its beginning, and its bytes if they are known. A caller's own file stays
        open.
        """
        if isinstance(self._source, bytes):
            yield io.BytesIO(self._source), len(self._source)
        elif isinstance(self._source, Path):
            with self._source.open("rb") as file:
                yield file, os.fstat(file.fileno()).st_size or None
        else:
            yield self._source, await _rewound(self._source)


@dataclass(frozen=True)
class Form:
    """A multipart form with a recording: one body for one request.

    `size`: the recording's bytes; None: not known, the body is then sent in chunks.
    """

    file: Any
    name: str
    size: int | None
    fields: Mapping[str, str]
    _boundary: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        """Of the request."""
        headers = {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}
        if self.size is not None:
            length = len(self._head) + self.size + len(self._tail)
            headers["Content-Length"] = str(length)
        return headers

    async def body(self) -> AsyncIterator[bytes]:
        """The form. Of a file that grows meanwhile, what it held at first is sent."""
        yield self._head
        left = self.size
        while left is None or left > 0:
            chunk = await _read(self.file, CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
            if not chunk:
                break
            left = None if left is None else left - len(chunk)
            yield chunk
        yield self._tail

    @property
    def _head(self) -> bytes:
        parts = [
            f"--{self._boundary}\r\nContent-Disposition: form-data; "
            f'name="{name}"\r\n\r\n{value}\r\n'
            for name, value in self.fields.items()
        ]
        parts.append(
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="audio"; '
            f'filename="{_quoted(self.name)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        )
        return "".join(parts).encode(errors="replace")

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode()


def _quoted(name: str) -> str:
    """As browsers write file names in a form (WHATWG HTML, multipart/form-data encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


async def _read(file: Any, size: int) -> bytes:
    data = await _called(file.read, size)
    if not isinstance(data, bytes):
        raise InvalidArgument(f"{_WRONG}one that gives {type(data).__name__}")
    return data


async def _called(method: Any, *arguments: Any) -> Any:
    """Awaited if it is asynchronous, else run in a thread: a disk may be slow."""
    if inspect.iscoroutinefunction(method):
        return await method(*arguments)
    returned = await asyncio.to_thread(method, *arguments)
    return await returned if inspect.isawaitable(returned) else returned


async def _rewound(file: Any) -> int | None:
    """The bytes of the file, which then stands at its beginning; None: it cannot say."""
    try:
        size = await _called(file.seek, 0, os.SEEK_END)
    except TypeError:  # Starlette's UploadFile seeks from the beginning only, and knows its size
        size = getattr(file, "size", None)
    await _called(file.seek, 0)
    return size if isinstance(size, int) else None


async def _can_seek(file: Any) -> bool:
    if hasattr(file, "seekable"):
        return bool(await _called(file.seekable))
    return hasattr(file, "seek")


async def _copied(file: Any) -> IO[bytes]:
    copy = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 -- it ends with the Upload
    while chunk := await _read(file, CHUNK_BYTES):
        await asyncio.to_thread(copy.write, chunk)
    return copy

"""A recording as the request that submits it: mapped into memory once, shared by all clients."""

from __future__ import annotations

import mmap
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

_CHUNK_BYTES = 256 * 1024


class Recording:
    """One file with the form around it. OSError if it cannot be read, ValueError if it is empty."""

    def __init__(self, path: Path, fields: Mapping[str, str]) -> None:
        self.path = path
        self.fields = dict(fields)
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="audio"; '
            f'filename="{_quoted(path.name)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        )
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        length = len(self._head) + len(self._content) + len(self._tail)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
        }

    async def body(self) -> AsyncIterator[bytes]:
        """The form from its first byte; each request needs a new one."""
        yield self._head
        for start in range(0, len(self._content), _CHUNK_BYTES):
            yield self._content[start : start + _CHUNK_BYTES]
        yield self._tail


def _quoted(name: str) -> str:
    """As browsers write file names in a form (WHATWG HTML, multipart/form-data encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")

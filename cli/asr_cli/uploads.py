"""A recording as a caller has it: a path, its bytes, or an open file."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from asr_cli.client_errors import ClientError

AudioSource = str | os.PathLike[str] | bytes | bytearray | IO[bytes]
_NAME = "recording"


@dataclass(frozen=True)
class Upload:
    """It can be sent again and again, each time all of it."""

    name: str
    _source: Path | bytes | IO[bytes]

    @classmethod
    def of(cls, source: AudioSource, filename: str | None = None) -> Upload:
        """Raises OSError for a file that is not there, ClientError for what is no recording."""
        if isinstance(source, bytes | bytearray):
            return cls(filename or _NAME, bytes(source))
        if isinstance(source, str | os.PathLike):
            return cls._of_path(source, filename)
        if isinstance(source, io.TextIOBase) or not hasattr(source, "read"):
            raise ClientError(
                "a recording is a path, bytes, or a file opened for reading in binary mode, not "
                f"{source!r}"
            )
        name = getattr(source, "name", None)
        name = filename or (Path(name).name if isinstance(name, str) else "") or _NAME
        if not source.seekable():
            return cls(name, source.read())
        return cls(name, source)

    @classmethod
    def _of_path(cls, source: str | os.PathLike[str], filename: str | None) -> Upload:
        if isinstance(source, str) and source.startswith(("http://", "https://")):
            raise ClientError(f"{source} is a URL: `submit_url` has the server fetch it")
        path = Path(source).expanduser()
        with path.open("rb"):  # now, not after the connection
            return cls(filename or path.name, path)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The bytes, from their beginning. A caller's own file stays open."""
        if isinstance(self._source, bytes):
            yield io.BytesIO(self._source)
        elif isinstance(self._source, Path):
            with self._source.open("rb") as file:
                yield file
        else:
            self._source.seek(0)
            yield self._source

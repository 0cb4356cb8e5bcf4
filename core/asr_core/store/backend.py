"""What every kind of store has in common: the protocol, the paths it accepts, the errors it adds.

Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import Protocol

from asr_core.errors import AsrError, RetryPolicy

CHUNK_BYTES = 1024 * 1024
UNFINISHED = ".unfinished"

# The characters that every kind of store keeps as they are: nothing is percent-encoded on one
# store and not on another, and no path can leave the store's folder.
_SEGMENT = re.compile(r"[A-Za-z0-9._=@+-]{1,200}")


class StoreObjectMissing(AsrError):
    """The store answered, and holds nothing at this path."""

    code = "object_missing"
    status = 404
    retry_policy = RetryPolicy.PERMANENT

    def __init__(self, path: str) -> None:
        super().__init__(f"the store holds no object {path!r}")
        self.path = path


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; `modified_at` is in Unix seconds on the store's clock."""

    path: str
    size: int
    modified_at: float


class Backend(Protocol):
    """One kind of store. Paths arrive checked; `end` is exclusive and never below `start`.

    Raises StoreObjectMissing, StoreFull and StoreUnavailable, and lets errors of the caller's
    own chunks pass unchanged.
    """

    async def put(self, path: str, chunks: AsyncIterable[bytes]) -> int:
        """Store all chunks or nothing; return the size in bytes."""

    async def get(self, path: str) -> bytes:
        """Return the whole object."""

    def stream(self, path: str, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """Yield the object's bytes from `start` to `end`, clipped to what it holds."""

    async def size(self, path: str) -> int:
        """Return the object's size in bytes."""

    async def delete(self, path: str) -> None:
        """Remove the object; one that is missing is fine."""

    def list(self, prefix: str) -> AsyncGenerator[StoredObject, None]:
        """Yield the objects below the folder `prefix`; the empty prefix is the whole store."""

    async def sweep_unfinished(self, older_than_seconds: float) -> int:
        """Remove what writers that died left half written; return how many."""

    async def ready(self) -> None:
        """Check that the store answers and may be written, cheaply."""


def check_path(path: str) -> str:
    """Return `path` if it names one object below the store's root.

    Raises ValueError: paths are made by this platform, so a bad one is a mistake in the program.
    """
    segments = path.split("/")
    if segments[0] == UNFINISHED or not all(map(_is_segment, segments)):
        raise ValueError(
            f"bad store path {path!r}: use segments of letters, digits and ._=@+- "
            "joined by single slashes, neither '.' nor '..'"
        )
    return path


def check_prefix(prefix: str) -> str:
    """Return the folder `prefix` without its trailing slash; empty stands for the whole store."""
    return check_path(prefix.removesuffix("/")) if prefix else ""


def _is_segment(segment: str) -> bool:
    return segment not in {".", ".."} and _SEGMENT.fullmatch(segment) is not None


async def one_chunk(data: bytes) -> AsyncGenerator[bytes, None]:
    """Turn bytes at hand into a stream of one chunk."""
    yield data


async def blocks(chunks: AsyncIterable[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """Join and cut chunks into blocks of `size` bytes; only the last one may be shorter."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)

"""A store in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.

Credentials, region and endpoint come from each cloud's standard environment variables
(`AWS_*`, `GOOGLE_*`, `AZURE_*`). Everything is bounded in time: a store that is away shows as
StoreUnavailable within about ten seconds.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from asr_core.errors import AsrError, InvalidSetting, StoreFull, StoreUnavailable
from asr_core.store.backend import CHUNK_BYTES, StoredObject, StoreObjectMissing, blocks

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

PART_BYTES = 8 * 1024 * 1024  # S3 takes 10,000 parts at most: 80 GB
_PARTS_AT_ONCE = 4
_READ_BYTES = 4 * CHUNK_BYTES
_ANSWER_SECONDS = 10.0
_PART_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 256 * 1024

# Three attempts at 2.5 s each, with short pauses, stay below ten seconds.
_RETRIES: RetryConfig = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=8),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=1),
        "base": 2,
    },
}
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(?:Other\(\s*OtherError\(\s*)?(\w+)")
_CERTIFICATE_FAULTS = {
    "UnknownIssuer": "is of an authority that is not trusted, name its file in AWS_CA_BUNDLE",
    "CaUsedAsEndEntity": "is that of an authority, and must be one that an authority has issued",
    "NotValidForName": "is for another host name",
    "NotValidForNameContext": "is for another host name",
    "Expired": "has expired",
    "ExpiredContext": "has expired",
}
_FULL = re.compile(r"\b507\b|StorageFull|QuotaExceeded|InsufficientStorage")


class BucketStore:
    """Objects in the bucket and below the prefix that `url` names."""

    def __init__(self, url: str) -> None:
        options = _client_options()
        try:
            self._store: ObjectStore = from_url(url, client_options=options, retry_config=_RETRIES)
        except (BaseError, ValueError) as error:
            reason = _reason(error)
            raise InvalidSetting(f"store {url!r} cannot be opened: {reason}") from error
        self._url = url

    async def put(self, path: str, chunks: AsyncIterable[bytes]) -> int:
        """Send one request if all fits into a part, else a multipart upload."""
        async with aclosing(blocks(chunks, PART_BYTES)) as parts:
            first = await anext(parts, b"")
            second = await anext(parts, None)
            if second is None:
                async with self._errors(path, _seconds_for(len(first)), writing=True):
                    await obstore.put_async(self._store, path, first, use_multipart=False)
                return len(first)
            async with _Upload(self._store, path) as upload:
                async for part in _chain(first, second, parts):
                    async with self._errors(path, _PART_SECONDS, writing=True):
                        await upload.send(part)
                async with self._errors(path, 2 * _PART_SECONDS, writing=True):
                    await upload.complete()
            return upload.size

    async def get(self, path: str) -> bytes:
        """Fetch the whole object in one request."""
        async with self._errors(path, _ANSWER_SECONDS):
            answer = await obstore.get_async(self._store, path)
        async with self._errors(path, _seconds_for(answer.meta["size"])):
            return bytes(await answer.bytes_async())

    async def stream(self, path: str, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """Fetch range after range: a slow reader holds no connection, each range can be retried."""
        size = await self.size(path)
        end = size if end is None else min(end, size)
        while start < end:
            upto = min(start + _READ_BYTES, end)
            async with self._errors(path, _seconds_for(upto - start)):
                fetched = await obstore.get_range_async(self._store, path, start=start, end=upto)
            piece = memoryview(fetched)
            for at in range(0, len(piece), CHUNK_BYTES):
                yield bytes(piece[at : at + CHUNK_BYTES])
            start = upto

    async def size(self, path: str) -> int:
        """Return the object's size in bytes."""
        async with self._errors(path, _ANSWER_SECONDS):
            return (await obstore.head_async(self._store, path))["size"]

    async def delete(self, path: str) -> None:
        """Remove the object; some stores report one that is missing, some do not."""
        try:
            async with self._errors(path, _ANSWER_SECONDS):
                await obstore.delete_async(self._store, path)
        except StoreObjectMissing:
            return

    async def list(self, prefix: str) -> AsyncGenerator[StoredObject, None]:
        """Yield the objects below a folder, page by page."""
        pages = obstore.list(self._store, prefix=prefix or None)
        while True:
            async with self._errors(prefix, _ANSWER_SECONDS):
                page = await anext(pages, None)
            if page is None:
                return
            for found in page:
                modified_at = found["last_modified"].timestamp()
                yield StoredObject(found["path"], found["size"], modified_at)

    async def sweep_unfinished(self, older_than_seconds: float) -> int:
        """Do nothing: a bucket removes unfinished uploads by a lifecycle rule of its own."""
        return 0

    async def ready(self) -> None:
        """List a folder that is always empty: it asks for bucket, credentials and answer."""
        async for _ in self.list("ready"):
            return

    @asynccontextmanager
    async def _errors(
        self, path: str, seconds: float, *, writing: bool = False
    ) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except FileNotFoundError as error:
            if writing or _NO_BUCKET.search(str(error)):
                raise self._unavailable(path, error) from error
            raise StoreObjectMissing(path) from error
        except TimeoutError as error:
            raise StoreUnavailable(f"store {self._url}, object {path!r}: no answer") from error
        except BaseError as error:
            if _FULL.search(str(error)):
                why = f"store {self._url}, object {path!r}: {_reason(error)}"
                raise StoreFull(f"the store is full: {why}") from error
            raise self._unavailable(path, error) from error

    def _unavailable(self, path: str, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"store {self._url}, object {path!r}: {_reason(error)}")


class _Upload:
    """A multipart upload fed from the caller's task.

    obstore aborts the upload when its source raises, but leaves the parts lying when it is
    itself cancelled; so it runs in a task of its own, and is ended through its source.
    """

    def __init__(self, store: ObjectStore, path: str) -> None:
        self.size = 0
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._given_up = asyncio.Event()
        self._running = asyncio.ensure_future(
            obstore.put_async(
                store, path, self._source(), chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )
        )

    async def __aenter__(self) -> _Upload:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._running.done():
            self._given_up.set()
            if self._parts.empty():
                self._parts.put_nowait(None)
            await asyncio.wait([self._running], timeout=_ANSWER_SECONDS)
        if not self._running.cancel() and not self._running.cancelled():
            self._running.exception()  # looked at, so that asyncio does not report it as lost

    async def send(self, part: bytes) -> None:
        """Hand over one part; raises what the upload raised."""
        await self._hand_over(part)
        self.size += len(part)

    async def complete(self) -> None:
        """Wait until the store has all parts under the object's name."""
        await self._hand_over(None)
        await asyncio.shield(self._running)

    async def _hand_over(self, part: bytes | None) -> None:
        taken = asyncio.ensure_future(self._parts.put(part))
        try:
            await asyncio.wait([taken, self._running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            taken.cancel()
        if self._running.done():
            self._running.result()

    async def _source(self) -> AsyncGenerator[bytes, None]:
        while (part := await self._parts.get()) is not None:
            if self._given_up.is_set():
                break
            yield part
        if self._given_up.is_set():
            raise _GivenUp("the upload was aborted")


async def _chain(
    first: bytes, second: bytes, rest: AsyncIterable[bytes]
) -> AsyncGenerator[bytes, None]:
    yield first
    yield second
    async for part in rest:
        yield part


class _GivenUp(AsrError):
    """Raised inside obstore so that it aborts the upload; never leaves this module."""


def _client_options() -> ClientConfig:
    """Build the HTTP options; giving any replaces what obstore reads from the environment."""
    options: ClientConfig = {
        "connect_timeout": timedelta(seconds=2.5),
        "timeout": timedelta(seconds=_PART_SECONDS),
    }
    if _is_true("AWS_ALLOW_HTTP") or _is_true("AZURE_ALLOW_HTTP") or _is_true("GOOGLE_ALLOW_HTTP"):
        options["allow_http"] = True
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["root_certificate"] = _authorities(bundle)
    return options


def _authorities(bundle: str) -> bytes:
    """The file's PEM certificates. They are trusted beside the well-known ones."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(bundle)
        return Path(bundle).read_bytes()
    except ssl.SSLError:
        reason = "holds no certificate in PEM form"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    raise InvalidSetting(f"AWS_CA_BUNDLE: {bundle} {reason}")


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in {"1", "true", "yes", "on"}


def _seconds_for(size: int) -> float:
    """Allow a slow link its time, but a store that is away no more than the usual answer."""
    return _ANSWER_SECONDS + size / _SLOWEST_BYTES_PER_SECOND


def _reason(error: Exception) -> str:
    """Keep obstore's first line, without a query string: it may carry a signature.

    What rustls has against a certificate stands only in the lines below it.
    """
    text = str(error)
    first = re.sub(r"\?\S*", "?…", text.split("\n", 1)[0])[:300]
    refused = _CERTIFICATE.search(text)
    if refused is None:
        return first
    what = _CERTIFICATE_FAULTS.get(refused[1], f"is not accepted ({refused[1]})")
    return f"the store's certificate {what}: {first}"

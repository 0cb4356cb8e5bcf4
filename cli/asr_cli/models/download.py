"""One file from one address into one file, from where an earlier attempt stopped."""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from asr_cli.errors import NoRoomForModel, SourceFailed, WrongContent
from asr_cli.models.progress import FetchConsole

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
_BLOCK = 1 << 20
_ATTEMPTS_WITHOUT_PROGRESS = 2
_PAUSE_SECONDS = 1.0
_RANGE = re.compile(r"bytes (\d+)-")
_LENGTH = re.compile(r"bytes \*/(\d+)")


@dataclass(frozen=True)
class Order:
    """`size` 0: not known before the server says it."""

    url: httpx.URL
    target: Path
    size: int
    label: str
    headers: tuple[tuple[str, str], ...] = ()


def timeout(seconds: float = READ_SECONDS) -> httpx.Timeout:
    """A server that sends nothing for so long is given up."""
    return httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))


def download(client: httpx.Client, order: Order, console: FetchConsole) -> None:
    """Appends to the target what is missing of it. Raises SourceFailed, NoRoomForModel.

    A connection that breaks is taken up again for as long as each attempt brings something.
    """
    without_progress = 0
    while True:
        before = _there(order.target)
        if order.size and before == order.size:
            return
        try:
            _attempt(client, order, before, console)
            return
        except httpx.HTTPStatusError as error:
            raise SourceFailed(f"{order.url.host} answers {_status(error.response)}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            without_progress = 0 if _there(order.target) > before else without_progress + 1
            if without_progress >= _ATTEMPTS_WITHOUT_PROGRESS:
                raise SourceFailed(f"{order.url.host}: {reason(error)}") from None
            time.sleep(_PAUSE_SECONDS)


def copy(source: Path, order: Order, console: FetchConsole) -> None:
    """The same from a file of this machine. Raises SourceFailed, NoRoomForModel."""
    try:
        size = source.stat().st_size
        with (
            source.open("rb") as blocks,
            order.target.open("wb") as file,
            console.bar(order.label, size, 0) as advance,
        ):
            while block := blocks.read(_BLOCK):
                file.write(block)
                advance(file.tell())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(order.target, order.size) from None
        raise SourceFailed(f"{source}: {error.strerror}") from None


def reason(error: Exception) -> str:
    """The cause of a failed request, in a few words."""
    if isinstance(error, httpx.ConnectTimeout):
        return "does not answer"
    if isinstance(error, httpx.TimeoutException):
        return "sends nothing"
    if "peer closed connection" in str(error):
        return "ends in the middle"
    return str(error) or type(error).__name__


def no_room(target: Path, size: int) -> NoRoomForModel:
    """The error for a disk that is full."""
    needed = f" of {size / 1e6:,.0f} MB" if size else ""
    return NoRoomForModel(
        f"no room for {target.name}{needed} in {target.parent}: make room, or name another "
        "folder with ASR_MODEL_CACHE; what was downloaded is kept"
    )


def require_room(folder: Path, size: int) -> None:
    """Raises NoRoomForModel before anything is fetched that would not fit."""
    if shutil.disk_usage(folder).free < size:
        raise no_room(folder / "the model", size)


def _attempt(client: httpx.Client, order: Order, there: int, console: FetchConsole) -> None:
    headers = {**dict(order.headers), "accept-encoding": "identity"}
    if there:
        headers["range"] = f"bytes={there}-"
    with client.stream("GET", order.url, headers=headers) as reply:
        if reply.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            length = _LENGTH.match(reply.headers.get("content-range", ""))
            if length is not None and int(length[1]) == there and not order.size:
                return
            order.target.unlink(missing_ok=True)  # it is longer than what is there now
            raise httpx.RemoteProtocolError("has another file by now")
        reply.raise_for_status()
        start = _start(reply, there)
        total = order.size or start + int(reply.headers.get("content-length", 0))
        with console.bar(order.label, total, start) as advance:
            _write(reply, order, start, advance)


def _start(reply: httpx.Response, there: int) -> int:
    """From which byte the reply is: not every server heeds a range."""
    if reply.status_code != httpx.codes.PARTIAL_CONTENT:
        return 0
    found = _RANGE.match(reply.headers.get("content-range", ""))
    if found is None or int(found[1]) != there:
        raise httpx.RemoteProtocolError("sends another part than it was asked for")
    return there


def _write(reply: httpx.Response, order: Order, start: int, advance: Callable[[int], None]) -> None:
    with order.target.open("r+b" if start else "wb") as file:
        if start:
            file.seek(start)
            file.truncate()
        try:
            for block in reply.iter_raw():
                file.write(block)
                advance(file.tell())
                if order.size and file.tell() > order.size:
                    order.target.unlink()
                    raise WrongContent(f"more than the {order.size:,} bytes of {order.target.name}")
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            with suppress(OSError):
                file.close()
            raise no_room(order.target, order.size) from None
        if order.size and file.tell() < order.size:
            raise httpx.RemoteProtocolError(f"ends after {file.tell():,} of {order.size:,} bytes")


def _there(target: Path) -> int:
    try:
        return target.stat().st_size
    except FileNotFoundError:
        return 0


def _status(reply: httpx.Response) -> str:
    return f"{reply.status_code} {reply.reason_phrase}".strip()

"""Streamed replies: events and recordings. Both resume after a broken connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

import httpx
from pydantic import TypeAdapter, ValidationError

from asr_platform.errors import ServerUnreachable
from asr_platform.models import Event
from asr_platform.retry import retry_delay
from asr_platform.session import Session

RECONNECT_SECONDS = 1.0
_BROKEN_MOST = 5
_JSON = TypeAdapter(dict[str, object])


@dataclass
class EventParser:
    """Reads server-sent events line by line, as the WHATWG's HTML standard has them (9.2.6)."""

    _event: str = ""
    _id: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> Iterator[Event]:
        """The event that this line completes, if it does. Raises ValueError for other data."""
        if not line:
            if self._data:
                told = _JSON.validate_json("\n".join(self._data))
                yield Event.model_validate({**told, "event": self._event, "id": self._id})
            self._event, self._data = "", []
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value


async def events(session: Session, path: str) -> AsyncGenerator[Event, None]:
    """Until the task has ended, each once; connects again for as long as the server answers."""
    last_id = ""
    while True:
        response = await session.open(path, {"Last-Event-ID": last_id} if last_id else {})
        async with aclosing(response):
            if response.status_code == httpx.codes.NO_CONTENT:
                return  # the end has been seen
            try:
                async for event in _parsed(response.aiter_lines()):
                    if event.id and event.id == last_id:
                        continue  # the present state, which is told to every new connection
                    last_id = event.id
                    yield event
                    if event.ended:
                        return
            except httpx.RequestError:
                pass
        await asyncio.sleep(RECONNECT_SECONDS)


async def _parsed(lines: AsyncIterable[str]) -> AsyncGenerator[Event, None]:
    parser = EventParser()
    async for line in lines:
        try:
            for event in parser.feed(line):
                yield event
        except ValidationError as error:
            raise ServerUnreachable("the server sent an event that cannot be read") from error


async def recording(session: Session, path: str) -> AsyncGenerator[bytes, None]:
    """A recording's bytes; it never changes, so what is missing is asked for as a range."""
    offset, broken = 0, 0
    while True:
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        response = await session.open(path, headers)
        async with aclosing(response):
            if offset and response.status_code != httpx.codes.PARTIAL_CONTENT:
                raise ServerUnreachable("the server did not go on with the recording as asked")
            try:
                async for chunk in response.aiter_bytes():
                    offset, broken = offset + len(chunk), 0
                    yield chunk
                return
            except httpx.RequestError as error:
                broken += 1
                if broken > _BROKEN_MOST:
                    raise ServerUnreachable(
                        f"{session.shown_server}: the recording breaks off at byte {offset}"
                    ) from error
        await asyncio.sleep(retry_delay(broken, None) or RECONNECT_SECONDS)

"""Detects client disconnects."""

from __future__ import annotations

from starlette.requests import Request


async def disconnected(request: Request) -> None:
    """Return when the client disconnects. Only for requests whose body is not read elsewhere."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return

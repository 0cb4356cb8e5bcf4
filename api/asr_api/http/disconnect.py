"""Has the client gone?"""

from __future__ import annotations

from starlette.requests import Request


async def disconnected(request: Request) -> None:
    """Returns when the client is gone. For requests whose body nobody reads."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return

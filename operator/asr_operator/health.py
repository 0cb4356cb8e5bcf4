"""Where the liveness probe is answered: on the loop that the operator works on, so that a loop
which stands still does not answer.

kopf has such a server, whose sockets take one family of addresses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from asr_core.process.listening import bound_sockets


def _is_ours(record: logging.LogRecord) -> bool:
    """Not that somebody speaks no HTTP, for which aiohttp logs a traceback each."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | OSError)


class HealthServer:
    """Answers 200 at `url`, and 500 while `stale_pools` names any."""

    def __init__(self, url: str, stale_pools: Callable[[], Sequence[str]]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "localhost", parts.port or 80
        self._stale_pools = stale_pools
        app = web.Application()
        app.add_routes([web.get(parts.path or "/", self._answer)])
        logger = logging.getLogger("asr_operator.health")
        logger.addFilter(_is_ours)
        self._runner = web.AppRunner(app, access_log=None, logger=logger, shutdown_timeout=1.0)

    async def start(self) -> None:
        """Raises OSError where it cannot listen."""
        await self._runner.setup()
        for bound in bound_sockets(self._host, self._port):
            await web.SockSite(self._runner, bound).start()

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        if stale := self._stale_pools():
            told = f"not looked at any more: {', '.join(stale)}"
            return web.json_response({"ticks": told}, status=500)
        return web.json_response({"ticks": "ok"})

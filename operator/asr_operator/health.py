"""The liveness endpoint. It runs on the operator's event loop, so that
the probe fails if that loop is blocked.

kopf's own endpoint listens on one address family only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from asr_core.process.listening import bound_sockets


def _is_own_error(record: logging.LogRecord) -> bool:
    """Filters the traceback that aiohttp logs for each request that is not HTTP."""
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
        logger.addFilter(_is_own_error)
        self._runner = web.AppRunner(app, access_log=None, logger=logger, shutdown_timeout=1.0)

    async def start(self) -> None:
        """Raises OSError if it cannot listen."""
        await self._runner.setup()
        for bound in bound_sockets(self._host, self._port):
            await web.SockSite(self._runner, bound).start()

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        if stale := self._stale_pools():
            message = f"no longer reconciled: {', '.join(stale)}"
            return web.json_response({"ticks": message}, status=500)
        return web.json_response({"ticks": "ok"})

"""The connection to one server: its address, its headers, and requests that are sent again."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from asr_platform.address import authorization, server_address, without_credentials
from asr_platform.errors import ClientError, InvalidArgument, ServerUnreachable, WrongAddress
from asr_platform.replies import refusal
from asr_platform.retry import delay_after
from asr_platform.version import USER_AGENT

CONNECT_SECONDS = 10.0
MAX_CONNECTIONS = 256
# Shorter than the 5 s after which uvicorn closes an idle connection, perhaps just when it is used.
_KEEPALIVE_SECONDS = 4.0
# So that clients that were refused together do not come back together.
_JITTER_MOST = 1.2

Send = Callable[[], Awaitable[httpx.Response]]


class Session:
    """Sends requests until an answer comes that trying again does not change.

    `patience_seconds`: how long one request is tried; `timeout_seconds`: how long the server may
    be silent within a try. Raises WrongAddress, and InvalidArgument for a key that no header can
    carry.
    """

    def __init__(
        self,
        server: str | None,
        *,
        api_key: str | None,
        patience_seconds: float,
        timeout_seconds: float,
        headers: Mapping[str, str],
        verify: bool | ssl.SSLContext,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.server = server_address(server)
        self.shown_server = without_credentials(self.server)
        self._patience_seconds = patience_seconds
        self.timeout_seconds = timeout_seconds
        key = authorization(api_key)
        if key and self.shown_server != self.server:
            raise InvalidArgument(
                f"{self.shown_server}: an API key and a user in the address exclude each other, "
                "both go into Authorization"
            )
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=_KEEPALIVE_SECONDS)
        try:
            self._http = httpx.AsyncClient(
                base_url=self.server,
                headers={"User-Agent": USER_AGENT, **headers, **key},
                timeout=self.timeout(),
                limits=limits,
                verify=verify,
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise WrongAddress(f"the server's address {self.shown_server!r}: {error}") from None

    async def aclose(self) -> None:
        """End all connections."""
        await self._http.aclose()

    def timeout(self, read_seconds: float | None = None) -> httpx.Timeout:
        """Of one try. Waiting for one of this client's own connections has no limit."""
        silent = self.timeout_seconds
        return httpx.Timeout(
            silent, connect=min(CONNECT_SECONDS, silent), read=read_seconds or silent, pool=None
        )

    async def once(self, path: str) -> httpx.Response:
        """The reply to one GET, whatever it says. Raises ServerUnreachable if there is none."""
        try:
            return await self._http.get(path)
        except httpx.RequestError as error:
            raise ServerUnreachable(
                f"no server answers at {self.shown_server} ({_told(error)})"
            ) from error

    async def send(
        self, method: str, path: str, *, read_seconds: float | None = None, **content: Any
    ) -> httpx.Response:
        """One try; `content` is that of httpx's `request`."""
        timeout = self.timeout(read_seconds)
        return await self._http.request(method, path, timeout=timeout, **content)

    async def request(
        self, method: str, path: str, *, until: float | None = None, **content: Any
    ) -> httpx.Response:
        """The successful reply, read whole: `send`, as `insist` repeats it."""
        return await self.insist(lambda: self.send(method, path, **content), until=until)

    async def open(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """The successful reply to a GET, of which only the head has been read; close it."""

        async def send() -> httpx.Response:
            request = self._http.build_request("GET", path, headers=dict(headers))
            return await self._http.send(request, stream=True)

        return await self.insist(send)

    async def insist(self, send: Send, *, until: float | None = None) -> httpx.Response:
        """Send until there is a successful reply.

        It is given up when patience, or `until` on the monotonic clock, is over. Raises
        RequestFailed for a reply that is no success, ServerUnreachable if there is none.
        """
        give_up_at = time.monotonic() + self._patience_seconds
        if until is not None:
            give_up_at = min(give_up_at, until)
        attempt = 0
        while True:
            attempt += 1
            outcome = await _tried(send)
            if isinstance(outcome, httpx.Response) and outcome.is_success:
                return outcome
            delay = delay_after(attempt, outcome)
            if delay is None:
                raise self._failed(outcome, attempt)
            delay *= random.uniform(1.0, _JITTER_MOST)
            if time.monotonic() + delay > give_up_at:
                raise self._failed(outcome, attempt, after=f"; given up after {attempt} tries")
            await asyncio.sleep(delay)

    def _failed(
        self, outcome: httpx.Response | httpx.RequestError, tries: int, after: str = ""
    ) -> ClientError:
        error: ClientError
        if isinstance(outcome, httpx.Response):
            error = refusal(outcome, after=after)
        else:
            error = ServerUnreachable(f"{self.shown_server}: {_told(outcome)}{after}")
            error.__cause__ = outcome
        error.tries = tries
        return error


async def _tried(send: Send) -> httpx.Response | httpx.RequestError:
    """The reply, or why there is none; an error reply is read to its end."""
    try:
        response = await send()
        if not response.is_success:
            await response.aread()
        return response
    except httpx.RequestError as error:
        return error


def _told(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__

"""The one way out: HTTP requests over connections to addresses that were checked.

A name is resolved once per connection, every address is checked, and the connection goes to one of
these; `Host` and TLS still carry the name. No proxy, cookie, redirect or content decoding.

Whoever sends cannot tell from an error whether a name is unknown or leads inward: both are a
connection that does not come about, and are to be tried again alike. The operator's log may know.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import certifi
import httpcore

from asr_api.egress.ssrf_policy import SsrfPolicy
from asr_api.egress.target import OutboundUrl
from asr_api.errors import UrlRefused
from asr_core import __version__

USER_AGENT = f"asr-platform/{__version__}"
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
# Look-ups that stall outlive the try that asked: the threads are more than those of one tenant.
_LOOKUPS = 256
ADDRESSES_TRIED = 4  # each for its part of the time there is to connect


class Egress:
    """`resolve` gives the addresses of a name; the system's resolver does by default."""

    def __init__(self, reach: SsrfPolicy, *, resolve: Resolve | None = None) -> None:
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=_Pinned(reach, resolve or self._resolve),
        )

    @asynccontextmanager
    async def send(
        self,
        method: str,
        target: OutboundUrl,
        *,
        headers: Mapping[str, str],
        idle_seconds: float,
        content: bytes | None = None,
    ) -> AsyncIterator[httpcore.Response]:
        """One request; the reply's body is still to be read. `idle_seconds` bounds the connecting,
        the TLS handshake, the time from the request to the end of the reply's headers, and each
        silence after that.

        Raises httpcore's TimeoutException, NetworkError and ProtocolError; ConnectError and
        ConnectTimeout whatever kept a connection from coming about.
        """
        silences = dict.fromkeys(("connect", "read", "write", "pool"), idle_seconds)
        sent = {
            "Host": target.authority,
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "identity",
            "Connection": "close",
            **headers,
        }
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(None) as patience:
                    extensions = {
                        "timeout": silences,
                        "trace": _await_headers(patience, idle_seconds),
                    }
                    response = await stack.enter_async_context(
                        self._pool.stream(
                            method, url, headers=list(sent.items()), content=content,
                            extensions=extensions,
                        )
                    )  # fmt: skip
            except TimeoutError:
                raise httpcore.ReadTimeout("the headers did not come in time") from None
            yield response

    async def close(self) -> None:
        """End what is open."""
        await self._pool.aclose()
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        def look_up() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(item[4][0]) for item in found))

        return await asyncio.get_running_loop().run_in_executor(self._lookups, look_up)


class _Pinned(httpcore.AsyncNetworkBackend):
    def __init__(self, reach: SsrfPolicy, resolve: Resolve) -> None:
        self._reach = reach
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
                self._reach.check(host, port, addresses)
                seconds = None if timeout is None else timeout / ADDRESSES_TRIED
                return await self._connect(addresses, port, seconds, socket_options)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"no connection to {host!r} in time") from None
        except UrlRefused as refused:
            raise httpcore.ConnectError(refused.message) from None
        except (OSError, UnicodeError):
            raise httpcore.ConnectError(f"{host!r} cannot be resolved") from None

    async def _connect(
        self,
        addresses: Sequence[str],
        port: int,
        seconds: float | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses[:ADDRESSES_TRIED]:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout=seconds, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _await_headers(
    patience: asyncio.Timeout, seconds: float
) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
    """A trace of httpcore's that ends `patience` so long after the request has begun to go out."""

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            patience.reschedule(asyncio.get_running_loop().time() + seconds)

    return trace


def header(response: httpcore.Response, name: str) -> str | None:
    """A reply's header by its lower-case name; the first of several."""
    found = (value for key, value in response.headers if key.lower() == name.encode())
    value = next(found, None)
    return None if value is None else value.decode("latin-1").strip()


def _ssl_context() -> ssl.SSLContext:
    """The system's authorities (also by `SSL_CERT_FILE`), and those that come with certifi."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context

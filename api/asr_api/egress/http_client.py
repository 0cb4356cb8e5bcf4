"""HTTP client that connects only to addresses the SSRF policy has checked.

A name is resolved once per connection, every address is checked, and the connection goes to one of
them; `Host` and TLS SNI still carry the name. No proxy, cookies, redirects or content decoding.

Errors do not reveal whether a name is unknown or resolves to a private address: both are a failed
connection, retried alike. Only the operator's log tells them apart.
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
# Stalled lookups outlive their request, so there are more threads than one tenant can block.
_LOOKUPS = 256
ADDRESSES_TRIED = 4  # each gets an equal share of the connect timeout


class Egress:
    """`resolve` maps a name to addresses; default: the system's resolver."""

    def __init__(self, policy: SsrfPolicy, *, resolve: Resolve | None = None) -> None:
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=_Pinned(policy, resolve or self._resolve),
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
        """One request; the caller reads the reply's body. `idle_seconds` bounds the connect, the
        TLS handshake, the time from the request to the end of the reply's headers, and each gap
        between chunks after that.

        Raises httpcore's TimeoutException, NetworkError and ProtocolError; ConnectError or
        ConnectTimeout whenever no connection was made.
        """
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), idle_seconds)
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
                async with asyncio.timeout(None) as deadline:
                    extensions = {
                        "timeout": timeouts,
                        "trace": _await_headers(deadline, idle_seconds),
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
        """Close all connections and stop lookups."""
        await self._pool.aclose()
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        def look_up() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(item[4][0]) for item in found))

        return await asyncio.get_running_loop().run_in_executor(self._lookups, look_up)


class _Pinned(httpcore.AsyncNetworkBackend):
    def __init__(self, policy: SsrfPolicy, resolve: Resolve) -> None:
        self._reach = policy
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
    deadline: asyncio.Timeout, seconds: float
) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
    """An httpcore trace that starts the deadline when the request headers are sent."""

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            deadline.reschedule(asyncio.get_running_loop().time() + seconds)

    return trace


def header(response: httpcore.Response, name: str) -> str | None:
    """A reply's header by its lower-case name; the first if repeated."""
    found = (value for key, value in response.headers if key.lower() == name.encode())
    value = next(found, None)
    return None if value is None else value.decode("latin-1").strip()


def _ssl_context() -> ssl.SSLContext:
    """The system's CAs (`SSL_CERT_FILE` included) and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context

"""The one way out: HTTP requests over connections to addresses that were checked.

A name is resolved once per connection, every address is checked, and the connection goes to one of
these; `Host` and TLS still carry the name. No proxy, cookie, redirect or content decoding.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import certifi
import httpcore

from asr_api.courier.reach import Reach
from asr_api.courier.target import Target
from asr_core import __version__

USER_AGENT = f"asr-platform/{__version__}"
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_LOOKUPS = 32


class Egress:
    """`resolve` gives the addresses of a name; the system's resolver does by default."""

    def __init__(self, reach: Reach, *, resolve: Resolve | None = None) -> None:
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
        target: Target,
        *,
        headers: Mapping[str, str],
        idle_seconds: float,
        content: bytes | None = None,
    ) -> AsyncIterator[httpcore.Response]:
        """One request; the reply's body is still to be read. `idle_seconds` bounds connecting and
        each silence.

        Raises UrlRefused, and httpcore's TimeoutException, NetworkError and ProtocolError.
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
        async with self._pool.stream(
            method,
            url,
            headers=list(sent.items()),
            content=content,
            extensions={"timeout": silences},
        ) as response:
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
    def __init__(self, reach: Reach, resolve: Resolve) -> None:
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
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from None
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        self._reach.check(host, port, addresses)
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout=timeout, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


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

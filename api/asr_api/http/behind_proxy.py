"""Reverse proxies: the real client address and the path prefix. `asr.proxied` in the scope is
whether the peer's `X-Forwarded-*` headers are trusted.

The prefix comes from `ASR_ROOT_PATH`, or from a trusted proxy's `X-Forwarded-Prefix`. Works with
proxies that strip the prefix (Traefik's StripPrefix, nginx with a path in `proxy_pass`) and with
those that keep it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware, _TrustedHosts

from asr_api.settings.web import is_root_path

_PREFIX_MAX_CHARACTERS = 256
# First segments of our own paths: a path that starts with one has no prefix left on it.
_OWN = frozenset({"api", "v1", "docs", "assets"})


class BehindProxy:
    """ASGI middleware, the outermost: it needs the peer's own address."""

    def __init__(self, app: ASGIApp, *, root_path: str, trusted: tuple[str, ...]) -> None:
        self._app: ASGIApp = ProxyHeadersMiddleware(app, list(trusted))  # type: ignore[assignment, arg-type]
        self._root_path = root_path
        self._trusted_hosts = _TrustedHosts(list(trusted))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        is_trusted = (client[0] if client else "") in self._trusted_hosts
        scope = {**scope, "asr.proxied": is_trusted}
        root = self._root_of(scope)
        if root:
            scope = under(root, scope)
        host = Headers(scope=scope).get("host", "")

        async def send_relative(message: Message) -> None:
            if message["type"] == "http.response.start":
                _without_own_host(MutableHeaders(scope=message), host)
            await send(message)

        await self._app(scope, receive, send_relative)

    def _root_of(self, scope: Scope) -> str:
        if scope["asr.proxied"]:
            forwarded = forwarded_prefix(Headers(scope=scope).get("x-forwarded-prefix", ""))
            return forwarded or self._root_path
        return self._root_path


def forwarded_prefix(value: str) -> str:
    """Normalized prefix: `/asr` also from `/asr/`; several proxies' prefixes are joined, outermost
    first. '' if it is not a valid path prefix. Pure.
    """
    prefix = "".join(part.strip().rstrip("/") for part in value.split(","))
    fits = len(prefix) <= _PREFIX_MAX_CHARACTERS and is_root_path(prefix)
    return prefix if fits else ""


def under(root: str, scope: Scope) -> Scope:
    """The scope of an app mounted at `root`: `path` includes the prefix, as ASGI requires. Pure."""
    path: str = scope["path"]
    left_on = path == root or path.startswith(f"{root}/")
    if left_on and root.split("/")[1] not in _OWN:
        return {**scope, "root_path": root}
    raw_path = root.encode() + scope.get("raw_path", path.encode())
    return {**scope, "root_path": root, "path": root + path, "raw_path": raw_path}


def _without_own_host(headers: MutableHeaders, host: str) -> None:
    """Make redirects to this server relative: the proxy's host and scheme may differ."""
    location = urlsplit(headers.get("location", ""))
    if location.netloc and location.netloc == host and not location.path.startswith("//"):
        query = f"?{location.query}" if location.query else ""
        headers["location"] = location.path + query

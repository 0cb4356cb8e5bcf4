"""Protection against hostile web pages when API keys are off: DNS rebinding and CSRF.

- Host allowlist. A page can point its own name at this server (DNS rebinding) and then read
  everything as same-origin. IP addresses and `localhost` cannot be rebound; other names in `Host`
  must be listed.
- Cross-site writes are refused unless CORS allows the origin. Browsers state the source in
  `Sec-Fetch-Site` and `Origin`, which pages cannot forge; programs send neither. Same rules as
  net/http's CrossOriginProtection: https://words.filippo.io/csrf/.

With keys neither is needed: another origin's page has no key, and keys are never in cookies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from asr_api.errors import CrossSiteRequest, HostNotAllowed, MalformedHost
from asr_api.http.cors import CorsPolicy
from asr_api.http.error_reply import reply_to
from asr_core.access.hosts import host_of, is_address, split_authority
from asr_core.errors import RequestError

# Probes and scrapes may use any host name; they expose no task data.
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_QUOTED_MAX_CHARACTERS = 100


@dataclass(frozen=True)
class KnownHosts:
    """`listed`: names, `*.example.org`, `*`, beside addresses and loopback names. Pure."""

    listed: tuple[str, ...] = ()

    def knows(self, host: str) -> bool:
        """`host` as `host_of` returns it."""
        if is_address(host) or host == "localhost" or host.endswith(".localhost"):
            return True
        return any(_fits(host, pattern) for pattern in self.listed)


def _fits(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return pattern in ("*", host)


class KeylessGuard:
    """ASGI middleware; see the module's docstring."""

    def __init__(self, app: ASGIApp, *, hosts: KnownHosts, cors: CorsPolicy) -> None:
        self._app = app
        self._hosts = hosts
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None if scope["type"] == "lifespan" else self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})
        else:
            await reply_to(refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> RequestError | None:
        if scope["path"].removeprefix(scope.get("root_path", "")) in OPEN_PATHS:
            return None
        headers = Headers(scope=scope)
        named = headers.getlist("host")
        if len(named) != 1:
            return MalformedHost(f"A request must have one Host; this one has {len(named)}.")
        if scope.get("asr.proxied"):
            named += [
                part.strip()
                for value in headers.getlist("x-forwarded-host")
                for part in value.split(",")
            ]
        for authority in named:
            if not (host := host_of(authority)):
                return MalformedHost(f"{_quoted(authority)} is not a host.")
            if not self._hosts.knows(host):
                return _not_allowed(host)
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and is_cross_site(headers, named, self._cors):
            return _cross_site(headers)
        return None


def is_cross_site(headers: Headers, own: Sequence[str], cors: CorsPolicy) -> bool:
    """Whether another origin's page sent it and CORS does not allow that origin. Pure.

    Another port or subdomain is another origin, possibly of another owner.
    """
    site = headers.getlist("sec-fetch-site")
    origins = headers.getlist("origin")
    if not site or site == ["none"]:  # old browser or plain http; "none": typed by the user
        is_own = all(_is_own(origin, own) for origin in origins)
    else:
        is_own = site == ["same-origin"]
    return not is_own and not (origins and all(map(cors.allows, origins)))


def _is_own(origin: str, own: Iterable[str]) -> bool:
    """Ignores the scheme: a proxy that terminates TLS may not forward it."""
    scheme, _, authority = origin.partition("://")
    return any(_with_port(authority, scheme) == _with_port(each, scheme) for each in own)


def _with_port(authority: str, scheme: str) -> tuple[str, str] | None:
    host, port = split_authority(authority)
    return (host, port or _DEFAULT_PORTS.get(scheme, "")) if host else None


def _not_allowed(host: str) -> HostNotAllowed:
    return HostNotAllowed(
        "Without API keys this server answers to IP addresses, localhost and the names in "
        f"ASR_ALLOWED_HOSTS. If {_quoted(host)} is a name of its own, list it there: "
        f"ASR_ALLOWED_HOSTS={host[:_QUOTED_MAX_CHARACTERS]}, commas between several. "
        "With ASR_AUTH=keys it answers to any."
    )


def _cross_site(headers: Headers) -> CrossSiteRequest:
    origin = headers.get("origin", "")
    return CrossSiteRequest(
        f"Without API keys a page of another origin{f' ({_quoted(origin)})' if origin else ''} may "
        "not change anything here. To trust it, list its origin in ASR_CORS_ORIGINS; if "
        "it is this server's own page, its proxy must pass on the Host."
    )


def _quoted(text: str) -> str:
    return repr(text[:_QUOTED_MAX_CHARACTERS])

"""A URL that somebody gave us, taken apart strictly. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

from asr_api.errors import UrlRefused
from asr_api.filenames import clean_filename

URL_MAX_CHARACTERS = 2048
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"^[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?\.?$")
_UNQUOTED = "/%:=&?~+!$,;'@()*[]|"


@dataclass(frozen=True)
class Target:
    """`host` is ASCII and lower case, an IPv6 address without brackets; `path` is what stands in
    the request line, query and all. Never print it: a query may hold a secret.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """Raises UrlRefused. Its messages name at most the host."""
        if not url or len(url) > URL_MAX_CHARACTERS:
            raise UrlRefused(f"A URL must have 1 to {URL_MAX_CHARACTERS} characters.")
        if any(c <= " " or c in "\\\x7f" or "\ud800" <= c <= "\udfff" for c in url):
            raise UrlRefused("A URL must not hold spaces, control characters or backslashes.")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UrlRefused("The URL cannot be read.") from error
        scheme = parts.scheme.lower()
        if scheme not in _PORTS:
            raise UrlRefused("Only http and https URLs are called.")
        if "[" in parts.netloc and ":" not in (parts.hostname or ""):
            raise UrlRefused("The URL's host is not a name.")
        if "@" in parts.netloc:
            raise UrlRefused("A URL must not hold a user name or a password.")
        path = quote(parts.path or "/", safe=_UNQUOTED)
        if parts.query:
            path += "?" + quote(parts.query, safe=_UNQUOTED)
        return cls(scheme, _host(parts.hostname or ""), _port(port, scheme), path)

    def joined(self, location: str) -> Target:
        """Where a redirect to `location` leads. Raises UrlRefused."""
        try:
            return Target.parse(urljoin(f"{self.scheme}://{self.authority}{self.path}", location))
        except ValueError as error:
            raise UrlRefused("The redirect's URL cannot be read.") from error

    @property
    def authority(self) -> str:
        """Host and port as the `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def filename(self) -> str:
        """The last part of the path, to be shown."""
        return clean_filename(unquote(self.path.partition("?")[0]))


def _port(port: int | None, scheme: str) -> int:
    if port == 0:
        raise UrlRefused("Port 0 cannot be called.")
    return port or _PORTS[scheme]


def _host(raw: str) -> str:
    if ":" in raw:
        try:
            if "%" not in raw:
                return str(ipaddress.IPv6Address(raw))
        except ValueError:
            pass
        raise UrlRefused("The URL's IPv6 address cannot be read.")
    try:
        host = raw.encode("idna").decode().lower() if not raw.isascii() else raw.lower()
    except UnicodeError as error:
        raise UrlRefused("The URL's host is not a name.") from error
    if not _HOST.match(host) or ".." in host:
        raise UrlRefused("The URL's host is not a name.")
    return host

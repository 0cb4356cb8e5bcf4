"""Strict parsing and normalization of caller-supplied URLs. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

import idna

from asr_api.errors import UrlRefused
from asr_api.http.filenames import clean_filename
from asr_core.text_limits import URL

HOST_MAX_CHARACTERS = 253
_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNQUOTED = "/%:=&?~+!$,;'@()*[]|"


@dataclass(frozen=True)
class OutboundUrl:
    """`host` is normalized by `one_spelling`; `path` is the request target, query included.
    Never log it: a query may hold a secret.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> OutboundUrl:
        """Raises UrlRefused. Its messages name at most the host."""
        if not url or not URL.fits(url):
            raise UrlRefused(f"A URL must have a character, and {URL.words}.")
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
        return cls(scheme, one_spelling(parts.hostname or ""), _port(port, scheme), path)

    def joined(self, location: str) -> OutboundUrl:
        """The target of a redirect to `location`. Raises UrlRefused."""
        try:
            return OutboundUrl.parse(
                urljoin(f"{self.scheme}://{self.authority}{self.path}", location)
            )
        except ValueError as error:
            raise UrlRefused("The redirect's URL cannot be read.") from error

    @property
    def authority(self) -> str:
        """Host and port as in the `Host` header, equal for all spellings of one host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def filename(self) -> str:
        """The last path segment, for display."""
        return clean_filename(unquote(self.path.partition("?")[0]))


def respelled(url: str) -> str:
    """`url` with a normalized authority, so that hosts compare as text. Path and query are
    unchanged. Raises UrlRefused.
    """
    target, parts = OutboundUrl.parse(url), urlsplit(url)
    parts = parts._replace(scheme=target.scheme, netloc=target.authority, fragment="")
    if not URL.fits(parts.geturl()):
        raise UrlRefused(f"A URL must have {URL.words}.")
    return parts.geturl()


def one_spelling(host: str) -> str:
    """A normalized host: names in lower-case ASCII without a trailing dot, addresses as
    `ipaddress` writes them. IPv4 in decimal, octal or hexadecimal numbers, in fewer than four
    parts, or mapped into IPv6 becomes dotted. Raises UrlRefused.

    Follows https://url.spec.whatwg.org/#host-parsing, except that escaped hosts are refused.
    """
    if ":" in host:
        return _ipv6(host)
    try:
        name = _ascii(host).lower().removesuffix(".")
    except UnicodeError as error:
        raise UrlRefused("The URL's host is not a name.") from error
    labels = name.split(".")
    if len(name) > HOST_MAX_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        raise UrlRefused("The URL's host is not a name.")
    return _ipv4(name) if _NUMBER.fullmatch(labels[-1]) else name


def _ascii(host: str) -> str:
    """By UTS 46, as browsers do."""
    if host.isascii():
        return host
    if len(host) > HOST_MAX_CHARACTERS:
        raise UnicodeError("longer than any name")
    return idna.encode(host, uts46=True).decode()


def _ipv4(name: str) -> str:
    """Of one to four numbers, the last stands for all bytes that are left."""
    try:
        *firsts, last = map(_number, name.split("."))
        if any(first > 255 for first in firsts):
            raise ValueError
        address = bytes(firsts) + last.to_bytes(4 - len(firsts), "big")
    except (ValueError, OverflowError) as error:
        raise UrlRefused("The URL's IPv4 address cannot be read.") from error
    return str(ipaddress.IPv4Address(address))


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if text.startswith("0") else int(text)


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise UrlRefused("The URL's IPv6 address cannot be read.") from error
    if address.scope_id is not None:
        raise UrlRefused("The URL's IPv6 address names an interface of this machine.")
    return str(address.ipv4_mapped or address)


def _port(port: int | None, scheme: str) -> int:
    if port == 0:
        raise UrlRefused("Port 0 cannot be called.")
    return port or _PORTS[scheme]

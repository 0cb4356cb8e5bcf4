"""Host names in `Host`, `Origin` and settings. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address

AUTHORITY_MAX_CHARACTERS = 300  # a name has 253 at most
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[\w.~-]+)?)\]|([\w.-]+))(?::([0-9]{0,5}))?", re.A)
_LISTED = re.compile(r"\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def host_of(authority: str) -> str:
    """`asr.example` of `ASR.Example.:8000`, `::1` of `[::1]`; '' if invalid."""
    return split_authority(authority)[0]


def split_authority(authority: str) -> tuple[str, str]:
    """Host and port, each '' where it is missing; ('', '') if invalid.

    RFC 9110, section 7.2: `Host` has no user, and RFC 3986 puts IPv6 in brackets.
    """
    if len(authority) > AUTHORITY_MAX_CHARACTERS:
        return "", ""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return "", ""
    bracketed, name, port = found.groups()
    if bracketed:
        host = bracketed.lower() if ":" in bracketed and is_address(bracketed) else ""
    else:
        host = name.lower().removesuffix(".")
    return host, (port or "") if host else ""


def is_address(host: str) -> bool:
    """Whether it is an IP address, without brackets; other spellings of IPv4 are names."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a listener on this host is reachable from this machine only."""
    host = host.strip("[]")
    return ip_address(host).is_loopback if is_address(host) else host == "localhost"


def listed_host(given: str) -> str:
    """A host of a setting as it is compared: a name, `*.example.org`, `*`, or an address, which
    needs no listing. Raises ValueError.
    """
    host = given.lower().removesuffix(".")
    if is_address(host.strip("[]")) or _LISTED.fullmatch(host):
        return host
    raise ValueError(
        f"{given!r} is not a host: write it without scheme, port and path, as in asr.example.org, "
        "*.example.org for all names below it, or * for every host"
    )

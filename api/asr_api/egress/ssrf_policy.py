"""SSRF policy: public addresses on ports 80 and 443, plus an allowlist from the settings. Pure.

It judges resolved addresses, not their spelling: the address that is checked is the one that is
connected to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextlib import suppress

from asr_api.egress.target import OutboundUrl, one_spelling
from asr_api.errors import UrlRefused

PORTS = frozenset({80, 443})
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Beyond what `ipaddress` knows in every version of Python: protocol assignments, the 6to4 relay,
# Azure's host agent (a public number, answered internally), and documentation ranges.
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32",
        "2001::/23", "2001:db8::/32", "3fff::/20",
    )
)  # fmt: skip


class SsrfPolicy:
    """`allowed`: private names, addresses and networks that may be called on any port."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                with suppress(UrlRefused):  # not a valid host: allows nothing
                    self._names.add(one_spelling(entry.strip("[]")))

    def check(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Raises UrlRefused unless every address of this host may be called at this port.

        The message does not reveal the address.
        """
        if host in self._names:
            return
        if not addresses:
            raise UrlRefused(f"The host {host!r} has no address.")
        for text in addresses:
            address = ipaddress.ip_address(text)
            if any(address in network for network in self._networks):
                continue
            if not is_public(address):
                raise UrlRefused(f"The host {host!r} is not on the public internet.")
            _check_port(port)

    def check_early(self, target: OutboundUrl) -> None:
        """Checks possible before DNS: literal addresses and ports. Raises UrlRefused."""
        try:
            ipaddress.ip_address(target.host)
        except ValueError:  # a name
            if target.host not in self._names and not self._networks:
                _check_port(target.port)
        else:
            self.check(target.host, target.port, [target.host])


def _check_port(port: int) -> None:
    if port not in PORTS:
        raise UrlRefused(f"Port {port} is not called; 80 and 443 are.")


def is_public(address: _Address) -> bool:
    """Whether an address is on the public internet; embedded IPv4 addresses are unwrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour is not None:
            return is_public(address.sixtofour)
        if address not in _GLOBAL_UNICAST:
            return False
    if any(address in network for network in _PRIVATE):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved

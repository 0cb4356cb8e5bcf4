"""The address of a server as people write it. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from asr_cli.client_errors import WrongAddress

_SCHEMES = ("http", "https")


def server_address(given: str) -> str:
    """Without a slash at its end. Raises WrongAddress for what no request could be sent to."""
    address = given.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        host = parts.hostname
        parts.port  # noqa: B018 -- raises ValueError for what is no port
    except ValueError as error:
        raise WrongAddress(f"the server's address {given!r} is no URL: {error}") from None
    if "://" not in given:
        example = f"http://{address.lstrip('/')}" if address else "http://127.0.0.1:8000"
        raise WrongAddress(f"the server's address {given!r} lacks http:// or https://: {example}")
    if parts.scheme not in _SCHEMES or not host:
        raise WrongAddress(
            f"the server's address {given!r} is not served: write it as http://HOST:PORT or "
            "https://HOST"
        )
    if parts.query or parts.fragment:
        raise WrongAddress(f"the server's address {given!r} must end before ? and #")
    return address

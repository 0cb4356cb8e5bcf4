"""Where the server is and the key for it, as people and environments write them."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from asr_platform.errors import InvalidArgument, WrongAddress

DEFAULT_SERVER = "http://127.0.0.1:8000"
SERVER_VARIABLE = "ASR_SERVER"
API_KEY_VARIABLE = "ASR_API_KEY"
_SCHEMES = ("http", "https")


def server_address(given: str | None) -> str:
    """Without a slash at its end; None: that of the environment's `ASR_SERVER`, else of `asr up`.

    Raises WrongAddress for what no request could be sent to.
    """
    if given is None:
        given = os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER
    address = given.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        host = parts.hostname
        parts.port  # noqa: B018 -- raises ValueError for what is no port
    except ValueError as error:
        raise WrongAddress(f"the server's address {given!r} is not a URL: {error}") from None
    if "://" not in given:
        example = f"http://{address.lstrip('/')}" if address else DEFAULT_SERVER
        raise WrongAddress(f"the server's address {given!r} lacks http:// or https://: {example}")
    if parts.scheme not in _SCHEMES or not host:
        raise WrongAddress(
            f"the server's address {given!r} is not supported: write it as http://HOST:PORT or "
            "https://HOST"
        )
    if parts.query or parts.fragment:
        raise WrongAddress(f"the server's address {given!r} must end before ? and #")
    return address


def without_credentials(address: str) -> str:
    """The address as it may stand in messages: user and password of the URL are left out."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def authorization(api_key: str | None) -> dict[str, str]:
    """The header that carries a key; None: that of the environment's `ASR_API_KEY`, if it is set.

    Spaces and line ends around it, as a file leaves them, are cut off. Raises InvalidArgument,
    without the key in the message, for what no header can carry.
    """
    key = os.environ.get(API_KEY_VARIABLE, "") if api_key is None else api_key
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise InvalidArgument("the API key must be printable ASCII")
    return {"Authorization": f"Bearer {key}"} if key else {}

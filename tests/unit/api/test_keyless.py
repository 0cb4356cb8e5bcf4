"""Which hosts and origins a server without keys trusts."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from asr_api.access.keyless import KeylessGuard, KnownHosts, is_cross_site
from asr_api.http.connection import authority_of
from asr_api.http.cors import CorsPolicy

LISTED = KnownHosts(("box.lan", "*.example.org"))
OWN = ["box.lan:8000"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.7", "::1", "fe80::1%eth0", "localhost", "a.localhost", "box.lan",
     "asr.example.org", "a.b.example.org"],
)  # fmt: skip
def test_addresses_loopback_names_and_what_is_listed_are_known(host: str) -> None:
    assert LISTED.knows(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost",
     "2130706433", "0x7f.1", "127.1", "example.org", "evilexample.org", "box.lan.evil.example",
     "box", "b.box.lan", "-"],
)  # fmt: skip
def test_names_that_somebody_else_can_point_here_are_not(host: str) -> None:
    assert not LISTED.knows(host)
    assert KnownHosts(("*",)).knows(host)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": "https://box.lan:8000"},
        {"sec-fetch-site": "same-origin", "origin": "https://a.name.that.a.proxy.changed"},
        {"sec-fetch-site": "none"},
        {"origin": "http://box.lan:8000"},
        {"origin": "https://box.lan:8000"},
        {"origin": "https://app.example", "sec-fetch-site": "cross-site"},
    ],
)
def test_programs_own_pages_and_origins_of_cors_may_change_things(headers: dict[str, str]) -> None:
    assert not is_cross_site(Headers(headers), OWN, CorsPolicy(("https://app.example",)))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://box.lan:3000"},
        {"sec-fetch-site": "cross-site", "origin": "http://box.lan:8000"},
        {"sec-fetch-site": "of another standard"},
        {"sec-fetch-site": "none", "origin": "chrome-extension://abcdef"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://box.lan"},
        {"origin": "http://box.lan:8000.evil.example"},
        {"origin": "http://box.lan:8000@evil.example"},
    ],
)
def test_other_pages_may_not(headers: dict[str, str]) -> None:
    for origins in ((), ("https://app.example",)):
        assert is_cross_site(Headers(headers), OWN, CorsPolicy(origins))
    if headers.get("origin"):
        assert not is_cross_site(Headers(headers), OWN, CorsPolicy(("*",)))


def test_a_second_origin_does_not_hide_the_first() -> None:
    pairs = [(b"origin", b"http://evil.example"), (b"origin", b"http://box.lan:8000")]
    assert is_cross_site(Headers(raw=pairs), OWN, CorsPolicy())


def test_the_port_of_the_scheme_needs_no_saying() -> None:
    for origin, own in (("http://box", "box:80"), ("https://box", "box:443")):
        assert not is_cross_site(Headers({"origin": origin}), [own], CorsPolicy())


@pytest.mark.parametrize(
    ("target", "authority"),
    [
        (b"/", None),
        (b"*", None),
        (b"/a?to=http://x/", None),
        (b"http://evil.example", b"evil.example"),
        (b"HTTP://evil.example:80?x", b"evil.example:80"),
        (b"http://localhost@evil.example/", b"localhost@evil.example"),
    ],
)
def test_a_target_may_name_the_host_itself(target: bytes, authority: bytes | None) -> None:
    assert authority_of(target) == authority


@pytest.mark.asyncio
async def test_a_web_socket_of_another_page_is_closed_before_the_app_sees_it() -> None:
    async def app(*_: Any) -> None:
        raise AssertionError("let in")

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    guard = KeylessGuard(app, hosts=LISTED, cors=CorsPolicy())
    for host, origin in ((b"box.lan:8000", b"http://evil.example"), (b"evil.example", b"")):
        headers = [(b"host", host), (b"origin", origin)]
        await guard({"type": "websocket", "path": "/", "headers": headers}, receive, send)
    assert [(each["type"], each["code"]) for each in sent] == [("websocket.close", 1008)] * 2

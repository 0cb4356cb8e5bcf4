"""Hosts as clients and settings write them."""

from __future__ import annotations

import pytest

from asr_core.access.hosts import host_of, is_loopback, listed_host, split_authority


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [
        ("localhost", "localhost", ""),
        ("LocalHost:8000", "localhost", "8000"),
        ("asr.example.org.", "asr.example.org", ""),
        ("asr_api:80", "asr_api", "80"),
        ("127.0.0.1:", "127.0.0.1", ""),
        ("[::1]", "::1", ""),
        ("[FE80::1%eth0]:8000", "fe80::1%eth0", "8000"),
    ],
)
def test_an_authority_has_a_host_and_perhaps_a_port(authority: str, host: str, port: str) -> None:
    assert split_authority(authority) == (host, port)


@pytest.mark.parametrize(
    "authority",
    [
        "", ".", ":8000", "a b", "user@localhost", "localhost:port", "localhost:123456", "::1",
        "[::1", "[127.0.0.1]", "[::1]x", "localhost/", "localhost\n", "löcalhost", "a" * 301,
    ],
)  # fmt: skip
def test_what_is_no_authority_has_no_host(authority: str) -> None:
    assert host_of(authority) == ""


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("*", "*"),
        ("*.Example.org", "*.example.org"),
        ("box", "box"),
        ("box.lan.", "box.lan"),
        ("10.0.0.7", "10.0.0.7"),
        ("[::1]", "[::1]"),
    ],
)
def test_a_setting_lists_names_of_hosts(given: str, host: str) -> None:
    assert listed_host(given) == host


@pytest.mark.parametrize(
    "given", ["http://box", "box:8000", "box/asr", "*box", ".box", "a b", "**"]
)
def test_what_is_no_host_is_refused_in_words(given: str) -> None:
    with pytest.raises(ValueError, match="without scheme, port and path"):
        listed_host(given)


def test_only_this_machine_reaches_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "box")))

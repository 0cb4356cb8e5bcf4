"""Which URLs are called: what an address is counts, however it is spelled."""

import asyncio
import ipaddress
from collections.abc import Sequence

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_api.egress.http_client import Egress
from asr_api.egress.ssrf_policy import SsrfPolicy, is_public
from asr_api.egress.target import OutboundUrl, one_spelling, respelled
from asr_api.errors import UrlRefused

INWARD = (
    "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://2130706433/",
    "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0x7f.1/", "http://0177.0.0.1/",
    "http://017700000001/", "http://0177.0x0.0.01/", "http://127.255.255.254/", "http://0.0.0.0/",
    "http://0/", "http://10.0.0.7/", "http://172.16.0.1/", "http://192.168.1.1/",
    "http://3232235777/", "http://169.254.169.254/latest/meta-data/", "http://2852039166/",
    "http://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://100.64.0.1/",
    "http://100.100.100.200/", "http://168.63.129.16/", "http://192.0.0.192/",
    "http://198.18.0.1/", "http://224.0.0.1/", "http://255.255.255.255/", "http://240.0.0.1/",
    "http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/", "http://[::ffff:169.254.169.254]/", "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::10.0.0.1]/", "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/", "http://[2002:a00:1::1]/", "http://[2001:0:a00:1::1]/",
    "http://[fe80::1]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/", "http://[ff02::1]/",
    "http://１２７.０.０.１/", "http://127。0。0。1/", "http://①②⑦.⓪.⓪.①/",
)  # fmt: skip
MALFORMED = (
    "", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/",
    "http:///path", "http://user@example.com/", "http://user:secret@example.com/",
    "http://example.com@127.0.0.1/", "http://127.0.0.1:80@example.com/",
    "http://example.com\\@127.0.0.1/", "http://example.com /", "http://exa\tmple.com/",
    "http://example.com\r\nHost: inside/", "http://example.com:0/", "http://example.com:99999/",
    "http://%31%32%37.0.0.1/", "http://[::1", "http://[fe80::1%25eth0]/", "http://[v1.x]/",
    "http://a..b/", "http://-/", "http://1.2.3.4.5/", "http://1.2.3.256/", "http://08/",
    "http://4294967296/", "http://name.0x7f/", "http://1_0.1/", "http://" + "a" * 64 + ".com/",
    "http://" + "ü" * 300 + ".com/", "http://example.com/\ud800", "http://example.com/\udc00",
    "http://example.com/\udfff", "http://example.com/\x7f", "http://example.com/\x1f",
    "javascript:alert(1)", "http://" + "a" * 3000 + ".com/",
)  # fmt: skip


@pytest.mark.parametrize("url", INWARD)
def test_an_address_that_leads_inward_is_refused_however_it_is_spelled(url: str) -> None:
    with pytest.raises(UrlRefused):
        SsrfPolicy().check_early(OutboundUrl.parse(url))


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_no_plain_http_url_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        OutboundUrl.parse(url)


@pytest.mark.parametrize("port", [22, 6379, 8080])
def test_other_ports_are_refused(port: int) -> None:
    with pytest.raises(UrlRefused, match="Port"):
        SsrfPolicy().check_early(OutboundUrl.parse(f"https://example.com:{port}/"))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1"],
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


async def connect(reach: SsrfPolicy, url: str, addresses: Sequence[str]) -> list[str]:
    """Sends a request whose host resolves to `addresses`, in order, one list per look-up."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return addresses

    egress = Egress(reach, resolve=resolve)
    try:
        async with egress.send("GET", OutboundUrl.parse(url), headers={}, idle_seconds=0.5):
            raise AssertionError("somebody answered")
    finally:
        await egress.close()
    return asked


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["::ffff:10.0.0.1"], ["::1", "1.1.1.1"]]
)
def test_a_name_is_refused_when_any_of_its_addresses_leads_inward(addresses: list[str]) -> None:
    with pytest.raises(httpcore.ConnectError, match="not on the public internet"):
        asyncio.run(connect(SsrfPolicy(), "http://harmless.example/", addresses))


def test_a_refusal_does_not_tell_the_address_that_a_name_has_inside() -> None:
    with pytest.raises(httpcore.ConnectError) as refused:
        asyncio.run(connect(SsrfPolicy(), "http://harmless.example/", ["10.9.8.7"]))
    assert "10.9.8.7" not in str(refused.value)


def test_allowed_names_and_networks_may_be_called_at_any_port() -> None:
    reach = SsrfPolicy(("10.1.0.0/16", "hooks.internal", "::1"))
    reach.check("10.1.2.3", 8080, ["10.1.2.3"])
    reach.check("anything.example", 8080, ["10.1.2.3"])
    reach.check("hooks.internal", 9000, ["192.168.0.1"])
    reach.check("::1", 9000, ["::1"])
    SsrfPolicy(("BÜCHER.internal.", "[::1]")).check("xn--bcher-kva.internal", 9000, ["10.0.0.1"])
    with pytest.raises(UrlRefused):
        reach.check("10.2.0.1", 80, ["10.2.0.1"])
    with pytest.raises(UrlRefused):
        reach.check("anything.example", 80, ["10.1.2.3", "10.2.0.1"])


def test_a_target_keeps_path_and_query_and_drops_the_fragment() -> None:
    target = OutboundUrl.parse("https://Example.COM/a b%20/ü.mp3?x=1&y=ä#part".replace("a b", "ab"))
    assert target == OutboundUrl("https", "example.com", 443, "/ab%20/%C3%BC.mp3?x=1&y=%C3%A4")
    assert target.filename == "ü.mp3"
    assert OutboundUrl.parse("http://[2606:4700::1]:80/").authority == "[2606:4700::1]"
    assert OutboundUrl.parse("https://bücher.example/").host == "xn--bcher-kva.example"


SPELLINGS = {
    "1.2.3.4": (
        "1.2.3.4", "1.2.3.4.", "16909060", "0x01020304", "0x1.2.3.4", "01.02.03.04", "1.2.772",
        "1.131844", "0100401404", "::ffff:1.2.3.4", "::FFFF:102:304", "１.２.３.４", "①。②。③。④",
    ),
    "2001:db8::1": ("2001:db8::1", "2001:0DB8:0:0:0:0:0:1", "2001:DB8::0.0.0.1"),
    "example.com": ("example.com", "EXAMPLE.com", "Example.Com.", "ｅｘａｍｐｌｅ。com"),
    "xn--bcher-kva.example": ("bücher.example", "BÜCHER.example.", "XN--BCHER-KVA.example"),
    "xn--fa-hia.example": ("faß.example", "xn--fa-hia.example"),
}  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
def test_all_spellings_of_a_host_are_one(host: str) -> None:
    assert {one_spelling(spelling) for spelling in SPELLINGS[host]} == {host}


def test_a_respelled_url_keeps_path_and_query_and_loses_what_is_not_sent() -> None:
    assert (
        respelled("HTTP://Example.com.:080/A%2fb?X=%41&y#z") == "http://example.com/A%2fb?X=%41&y"
    )
    assert respelled("https://1.2.772:0443//a") == "https://1.2.3.4//a"
    assert respelled("http://[2001:DB8:0::1]:00443") == "http://[2001:db8::1]:443"


def test_a_redirect_is_read_as_strictly_as_the_first_url() -> None:
    target = OutboundUrl.parse("https://example.com/a/b?c")
    assert target.joined("../d").path == "/d"
    assert target.joined("//other.example/x").host == "other.example"
    for location in ("ftp://example.com/", "http://u:p@example.com/", "file:///etc/passwd"):
        with pytest.raises(UrlRefused):
            target.joined(location)


@given(
    st.one_of(
        st.text(),
        st.text().map("http://{}".format),
        st.text().map("http://example.com/{}".format),
        st.lists(st.sampled_from("[]:@/?#%.0x7f1a-_\\é。１"), max_size=20).map(
            lambda parts: "http://" + "".join(parts)
        ),
    )
)
def test_any_text_is_a_target_or_refused(url: str) -> None:
    try:
        target = OutboundUrl.parse(url)
        SsrfPolicy().check_early(target)
    except UrlRefused:
        return
    assert OutboundUrl.parse(respelled(url)) == target
    assert respelled(respelled(url)) == respelled(url)
    assert target.path.isascii()
    assert target.authority.isascii()

"""Sockets of both families, on machines that have both, one, or the other."""

from __future__ import annotations

import asyncio
import errno
import socket
import urllib.request
from contextlib import suppress

import pytest
from prometheus_client import make_wsgi_app
from pydantic import ValidationError

from asr_api.settings.api import ApiSettings
from asr_api.settings.courier import CourierSettings
from asr_cli.local.ports import free_port, port_is_free
from asr_core.process import listening
from asr_core.process.listening import WsgiServer, bound_sockets, url_host
from asr_operator.health import HealthServer
from asr_operator.settings import OperatorSettings
from asr_worker.settings import WorkerSettings

pytestmark = pytest.mark.skipif(not port_is_free("::1", 0), reason="no IPv6 here")
LOOPBACKS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def families(sockets: list[socket.socket]) -> set[int]:
    return {each.family for each in sockets}


def test_all_addresses_are_those_of_both_families_on_one_port() -> None:
    sockets = bound_sockets("::", 0)
    try:
        assert families(sockets) == set(LOOPBACKS)
        (port,) = {each.getsockname()[1] for each in sockets}
        for each in sockets:
            each.listen()
            with socket.create_connection((LOOPBACKS[each.family], port), 5) as client:
                there, address = each.accept()
                there.close()
                # As it is, not mapped into IPv6: proxies are trusted by their addresses.
                assert address[0] == LOOPBACKS[each.family] == client.getsockname()[0]
    finally:
        for each in sockets:
            each.close()


@pytest.mark.parametrize("lacking", list(LOOPBACKS))
@pytest.mark.parametrize("reason", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_a_machine_without_one_of_the_families_listens_on_the_other(
    monkeypatch: pytest.MonkeyPatch, lacking: int, reason: int
) -> None:
    def refuse(family: int, address: tuple[object, ...]) -> socket.socket:
        if family == lacking:
            raise OSError(reason, "not here")
        return real(family, address)

    real = listening._socket
    monkeypatch.setattr(listening, "_socket", refuse)
    sockets = bound_sockets("::", 0)
    assert families(sockets) == set(LOOPBACKS) - {lacking}
    for each in sockets:
        each.close()
    with pytest.raises(OSError, match="not here"):
        bound_sockets(LOOPBACKS[socket.AddressFamily(lacking)], 0)


@pytest.mark.parametrize("family", list(LOOPBACKS))
def test_a_port_that_one_family_has_no_more_is_busy(family: int) -> None:
    with (
        socket.create_server(
            (LOOPBACKS[socket.AddressFamily(family)], 0), family=socket.AddressFamily(family)
        ) as taken,
        pytest.raises(OSError, match="in use") as refused,
    ):
        bound_sockets("::", taken.getsockname()[1])
    assert refused.value.errno == errno.EADDRINUSE


def test_a_named_address_is_the_only_one() -> None:
    (bound,) = bound_sockets("127.0.0.1", 0)
    assert bound.getsockname()[0] == "127.0.0.1"
    bound.close()


def test_a_server_of_metrics_answers_over_both_and_ends() -> None:
    def answer(_environ: object, start: object) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])  # type: ignore[operator]
        return [b"ok"]

    server = WsgiServer("::", 0, answer, name="test")  # type: ignore[arg-type]
    for host in LOOPBACKS.values():
        url = f"http://{url_host(host)}:{server.port}/"
        assert urllib.request.urlopen(url, timeout=5).read() == b"ok"
    server.close()
    for host in LOOPBACKS.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, server.port), 5)


@pytest.mark.parametrize(
    ("given", "listens_on"),
    [
        ({}, "127.0.0.1"),
        ({"ASR_API_HOST": "::"}, "::"),
        ({"ASR_API_HOST": "::", "ASR_METRICS_HOST": "127.0.0.1"}, "127.0.0.1"),
        ({"ASR_API_HOST": "127.0.0.1", "ASR_METRICS_HOST": ""}, "127.0.0.1"),
    ],
)
def test_metrics_are_served_where_the_api_listens_unless_told_otherwise(
    given: dict[str, str], listens_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ASR_API_HOST", "ASR_METRICS_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for settings in (WorkerSettings, CourierSettings, OperatorSettings):
        assert settings(_env_file=None).metrics_address == listens_on


def test_an_api_host_that_is_empty_does_not_open_every_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASR_API_HOST", "")
    with pytest.raises(ValidationError, match="api_host"):
        ApiSettings(_env_file=None)  # type: ignore[call-arg]


def test_a_server_of_one_address_is_on_no_other() -> None:
    server = WsgiServer("127.0.0.1", 0, lambda _environ, _start: [], name="test")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), 5)
    socket.create_connection(("127.0.0.1", server.port), 5).close()
    server.close()


GARBAGE = (
    b"\x16\x03\x01\x02\0\x01 no HTTP\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHo",
    b"", b"A" * 70_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 300 + b"\r\n", b"GET /\xff x\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 9,
)  # fmt: skip


def throw(port: int) -> None:
    """Sends each, and resets the connection or closes it."""
    for sent in GARBAGE * 2:
        for linger in (b"\1\0\0\0\0\0\0\0", None):
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                with suppress(OSError):
                    client.sendall(sent)
                if linger:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def test_clients_that_go_away_or_speak_no_http_leave_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listening._Handler, "timeout", 0.1)
    server = WsgiServer("127.0.0.1", 0, make_wsgi_app(), name="garbage")
    throw(server.port)
    with socket.create_connection(("127.0.0.1", server.port), 5) as silent:
        assert silent.recv(1) == b""
    server.close()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.asyncio
async def test_the_operators_probe_leaves_none_either(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port("127.0.0.1", 0)
    server = HealthServer(f"http://127.0.0.1:{port}/healthz", lambda: ())
    await server.start()
    await asyncio.to_thread(throw, port)
    with await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/healthz") as ok:
        assert ok.status == 200
    await server.close()
    assert "Traceback" not in caplog.text

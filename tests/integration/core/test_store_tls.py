"""A bucket behind a certificate of an authority of its own, as a company's MinIO or Ceph has."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asr_core.errors import InvalidSetting, StoreUnavailable
from asr_core.store import Store

EMPTY = (
    b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
)

pytestmark = pytest.mark.asyncio


class Bucket(http.server.BaseHTTPRequestHandler):
    """An empty one."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(EMPTY)))
        self.end_headers()
        self.wfile.write(EMPTY)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Its clients may end the handshake."""

    def handle_error(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def endpoint(certificates: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    server = Server(("127.0.0.1", 0), Bucket)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    # The handshake is the thread's: one that fails must not end the server.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    for name, value in {
        "AWS_ENDPOINT": f"https://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_store_whose_authority_is_not_trusted_says_so_and_what_to_set(
    endpoint: int, certificates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreUnavailable, match=r"authority that is not trusted.*AWS_CA_BUNDLE"):
        await Store.open("s3://bucket").ready()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates.authority))
    await Store.open("s3://bucket").ready()


async def test_a_certificate_for_another_name_is_said(
    endpoint: int, certificates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates.authority))
    monkeypatch.setenv("AWS_ENDPOINT", f"https://localhost:{endpoint}")
    with pytest.raises(StoreUnavailable, match="certificate is for another host name"):
        await Store.open("s3://bucket").ready()


async def test_a_bundle_that_is_none_is_refused_when_the_store_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.crt"))
    with pytest.raises(InvalidSetting, match=r"AWS_CA_BUNDLE: .*none\.crt cannot be read: No such"):
        Store.open("s3://bucket")
    monkeypatch.setenv("AWS_CA_BUNDLE", __file__)
    with pytest.raises(InvalidSetting, match="holds no certificate in PEM form"):
        Store.open("s3://bucket")

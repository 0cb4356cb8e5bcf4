"""With `caBundle` every library that a program uses trusts what the bundle holds.

Each is run with the rendered environment, against a server whose certificate nobody else signed.
"""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CLIENTS = {
    # A model's archive.
    "urllib": "import urllib.request; urllib.request.urlopen(URL, timeout=10)",
    # huggingface_hub, `asr` as a client.
    "httpx": "import httpx; httpx.get(URL, timeout=10)",
    # modelscope.
    "requests": "import requests; requests.get(URL, timeout=10)",
    # The courier.
    "courier": """
import asyncio
from asr_api.egress import http_client
import socket
context = http_client._ssl_context()
host, port = URL.split('/')[2].split(':')
context.wrap_socket(socket.create_connection((host, int(port)), 10), server_hostname=host)
""",
    "store": """
import asyncio
from asr_core.store import Store
from asr_core.errors import StoreUnavailable
async def main():
    store = Store.open('s3://bucket/asr')
    async for _ in store.list(''): pass
try:
    asyncio.run(main())
except StoreUnavailable as error:
    assert 'HTML' in str(error) or '404' in str(error) or 'XML' in str(error), str(error)
""",
    "redis": """
import redis
from asr_core.queue.connection import sync_client
from asr_core.settings.redis import RedisSettings
client = sync_client(RedisSettings(_env_file=None, url=URL.replace('https', 'rediss')))
try:
    client.ping()
except redis.exceptions.ConnectionError as error:
    assert 'ertificate' not in str(error), str(error)
except redis.exceptions.InvalidResponse:  # a web server, past the handshake
    pass
""",
}


@dataclass(frozen=True)
class Served:
    url: str
    authority: Path


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )


def _pem(made: x509.Certificate) -> bytes:
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of HTTPS, and a bundle in which its authority is the second of two."""
    folder = tmp_path_factory.mktemp("tls")
    ours, other, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    bundle = folder / "bundle.crt"
    bundle.write_bytes(
        _pem(_certificate("other", other, "other", other))
        + _pem(_certificate("ours", ours, "ours", ours))
    )
    chain = folder / "server.pem"
    chain.write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + _pem(_certificate("server", own, "ours", ours))
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served(f"https://127.0.0.1:{server.server_port}", bundle)
        server.shutdown()


def _run(client: str, url: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    store = {
        "AWS_ENDPOINT_URL": url, "AWS_REGION": "x", "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", f"URL = {url!r}\n{CLIENTS[client]}"],
        env={"PATH": os.environ["PATH"], **store, **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
def test_every_library_trusts_the_bundle_and_without_it_does_not(
    render: Any, served: Served, client: str
) -> None:
    made = render("--set", "caBundle.secret=authorities")
    (container,) = made.find("Deployment", "asr-worker-default")["spec"]["template"]["spec"][
        "containers"
    ]
    folder = "/etc/asr-authorities/ca.crt"
    told = {
        each["name"]: str(served.authority)
        for each in container["env"]
        if each.get("value") == folder
    }
    assert len(told) == 3
    trusting = _run(client, served.url, told)
    assert trusting.returncode == 0, trusting.stderr
    distrusting = _run(client, served.url, {})
    assert distrusting.returncode != 0, client

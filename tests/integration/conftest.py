"""A real redis-server: one for all tests, flushed before each, or a private one. Certificates.

Whoever names no user there has the least permissions that docs/operations.md asks for, so that
every suite shows that they suffice; tests that look behind the product are `admin`.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from asr_core.queue.permissions import least_user_options
from asr_core.settings.redis import RedisSettings

RECORDINGS = Path(
    os.environ.get("ASR_TEST_RECORDINGS", "") or Path(__file__).parents[3] / "shared" / "recordings"
)


@pytest.fixture(scope="session")
def whisper_folder(whisper_base: Path) -> Path:
    """Whisper base, where the packages that run it are installed."""
    pytest.importorskip("ctranslate2", reason="the extra whisper is not installed")
    return whisper_base


@pytest.fixture(scope="session")
def recording() -> Callable[[str], npt.NDArray[np.float32]]:
    """A recording of people by its file's name, as samples at 16 kHz."""

    def read(name: str) -> npt.NDArray[np.float32]:
        path = RECORDINGS / name
        if not path.is_file():
            pytest.skip(f"{path} is not here")
        with av.open(str(path)) as file:
            resampler = av.AudioResampler("flt", "mono", 16_000)
            frames = [*file.decode(audio=0), None]
            parts = [part for frame in frames for part in resampler.resample(frame)]
        return np.concatenate([part.to_ndarray()[0] for part in parts])

    return read


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_program() -> str:
    """Redis or Valkey: as `ASR_TEST_REDIS_SERVER` has it, else what is installed."""
    wanted = os.environ.get("ASR_TEST_REDIS_SERVER", "")
    program = shutil.which(wanted or "redis-server") or shutil.which("valkey-server")
    assert program, "redis-server is not installed: `make test` installs it"
    return program


@dataclass
class RedisServer:
    """A redis-server process with AOF in its own folder; it can be killed and started again."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        self.process = subprocess.Popen(
            [
                server_program(), "--port", str(self.port), "--bind", "127.0.0.1",
                "--dir", str(self.folder), "--save", "", "--appendonly", "yes",
                "--maxmemory-policy", "noeviction", "--loglevel", "warning",
                "--logfile", str(self.folder / "redis.log"),
                *least_user_options("", "*"), *self.options,
            ]
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with self.client() as client:
                    client.ping()
                    return self
            except redis.exceptions.RedisError:
                assert self.process.poll() is None, (self.folder / "redis.log").read_text()
        raise AssertionError("redis-server did not answer within 20 s")

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, username="admin", decode_responses=True)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def settings(self, **changes: object) -> RedisSettings:
        values = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": self.port, "REDIS_TIMEOUT_SECONDS": 5}
        return RedisSettings(_env_file=None, **{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def _shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), ("--appendfsync", "everysec")).start()
    yield server
    with server.client() as client:
        denied = client.acl_log()
    server.kill()
    assert not denied, f"the least permissions of docs/operations.md do not suffice: {denied}"


@pytest.fixture
def redis_server(_shared_redis: RedisServer) -> RedisServer:
    """The shared server, empty."""
    with _shared_redis.client() as client:
        client.flushall()
    return _shared_redis


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Makes servers with options of their own, that a test may kill."""
    servers: list[RedisServer] = []

    def make(*options: str) -> RedisServer:
        folder = tmp_path / f"redis-{len(servers)}"
        folder.mkdir()
        servers.append(RedisServer(folder, options).start())
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def redis_program() -> str:
    """The server's program, for what starts it in other ways."""
    return server_program()


@pytest.fixture(name="free_port")
def _free_port() -> Callable[[], int]:
    """Gives a port that nobody listens on."""
    return free_port


@dataclass
class Certificates:
    """An authority, and a certificate of it for 127.0.0.1, as files."""

    folder: Path

    def __post_init__(self) -> None:
        authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        authority = self._named("authority", authority_key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        leaf = self._named("server", key).add_extension(
            x509.SubjectAlternativeName(names), critical=False
        )
        for file, made in ((self.authority, authority), (self.certificate, leaf)):
            signed = made.sign(authority_key, hashes.SHA256())
            file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        self.key.write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))

    @staticmethod
    def _named(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)

        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

        return x509.CertificateBuilder(
            issuer_name=named("authority"), subject_name=named(name), public_key=key.public_key(),
            serial_number=x509.random_serial_number(), not_valid_before=now - day,
            not_valid_after=now + day,
        )  # fmt: skip

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        return self.folder / "tls.key"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """For servers that speak TLS."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Certificates(folder)

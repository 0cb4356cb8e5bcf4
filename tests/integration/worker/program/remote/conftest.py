"""A server of OpenAI's transcription contract that does wrong as a test says."""

from __future__ import annotations

import io
import json
import re
import socket
import ssl
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from asr_worker.engines import remote_health
from asr_worker.engines.remote import RemoteEngine
from asr_worker.settings import WorkerSettings

_FIELD = re.compile(rb'name="([^"]+)"\r\n\r\n(.*?)\r\n--', re.DOTALL)
_FILE = re.compile(
    rb'name="file"; filename="[^"]+"\r\nContent-Type: audio/wav\r\n\r\n(.*)\r\n--', re.S
)


@dataclass(frozen=True)
class Asked:
    """One request. `level` is how loud its recording is, to one decimal; None without one, as
    for the clip with which the worker probes a server.
    """

    path: str
    headers: dict[str, str]
    fields: dict[str, list[str]]
    level: float | None
    is_probe: bool = False


class Handler(BaseHTTPRequestHandler):
    """`reply` and the methods below are what behaviours are made of."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    double: ModelServerDouble

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["content-length"])))

    def _serve(self, body: bytes) -> None:
        fields: dict[str, list[str]] = {}
        for name, value in _FIELD.findall(body):
            fields.setdefault(name.decode(), []).append(value.decode())
        file = _FILE.search(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        level, is_probe = _heard(file[1]) if file else (None, False)
        self.double.serve(Asked(self.path, headers, fields, level, is_probe), self)

    def reply(self, body: Any, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def break_off(self) -> None:
        """Ends the connection in the middle of a reply."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A server that, once closed, has no open connection left."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what tests want."""

    def server_close(self) -> None:
        super().server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


Behaviour = Callable[[Asked, Handler], None]


def _heard(wav: bytes) -> tuple[float | None, bool]:
    """The level, or that it is the probe, which is longer than what tests send."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        if file.getnframes() == 4 * 16_000:
            return None, True
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return round(float(np.abs(samples.astype(np.float32)).max()) / 32767, 1), False


def says(text: str, handler: Handler, asked: Asked) -> None:
    """A transcription with whatever the request wants to be told."""
    body: dict[str, Any] = {"text": text}
    if asked.fields["response_format"] == ["verbose_json"]:
        body |= {"language": "english", "duration": 1.0}
        if "word" in asked.fields.get("timestamp_granularities[]", []):
            words = enumerate(text.split())
            body["words"] = [{"word": w, "start": n / 10, "end": n / 10 + 0.1} for n, w in words]
    handler.reply(body)


@dataclass
class ModelServerDouble:
    """`on` maps the level of a recording, or `probe`, `models` and `any`, to what happens; else it
    says the level. Requests are kept in `asked`.
    """

    models: list[str] = field(default_factory=lambda: ["listener"])
    on: dict[Any, Behaviour] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: Server | None = None
    port: int = 0

    def start(self, tls: ssl.SSLContext | None = None) -> ModelServerDouble:
        """Listens, the second time on the same port."""
        bound = type("Bound", (Handler,), {"double": self})
        self._server = Server(("127.0.0.1", self.port), bound)
        self.port = self._server.server_address[1]
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def transcribed(self, level: float) -> list[Asked]:
        return [asked for asked in self.asked if asked.level == level]

    def serve(self, asked: Asked, handler: Handler) -> None:
        with self._lock:
            self.asked.append(asked)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self._behaviour(asked)(asked, handler)
        except OSError:
            handler.close_connection = True  # the client has hung up
        finally:
            with self._lock:
                self.in_flight -= 1

    def _behaviour(self, asked: Asked) -> Behaviour:
        kind = "probe" if asked.is_probe else "models" if asked.level is None else asked.level
        return self.on.get("any") or self.on.get(kind) or self._default

    def _default(self, asked: Asked, handler: Handler) -> None:
        if asked.is_probe or asked.level is not None:
            says(f"level {asked.level}", handler, asked)
        else:
            handler.reply({"object": "list", "data": [{"id": each} for each in self.models]})


@pytest.fixture
def model_server() -> Iterator[ModelServerDouble]:
    double = ModelServerDouble().start()
    yield double
    double.stop()


@pytest.fixture
def remote(model_server: ModelServerDouble) -> Iterator[Callable[..., RemoteEngine]]:
    """Makes engines that know that server; loaded, unless told otherwise."""
    made: list[RemoteEngine] = []

    def make(*, load: bool = True, **settings: Any) -> RemoteEngine:
        values: dict[str, Any] = {
            "remote_url": model_server.url, "remote_timeout_seconds": 10.0, **settings,
        }  # fmt: skip
        made.append(RemoteEngine(WorkerSettings(_env_file=None, **values)))
        if load:
            made[-1].load()
        return made[-1]

    yield make
    for engine in made:
        engine.server.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away for half a second is away."""
    monkeypatch.setattr(remote_health, "PATIENCE_SECONDS", 0.5)

"""A model on a server of OpenAI's transcription contract: vLLM, speaches, LocalAI, OpenAI, ours.

The only module of the worker that imports an HTTP client. It follows no redirect, reads no proxy
from the environment, bounds time and size of every reply, and takes nothing of it but its bytes.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import certifi
import httpx

from asr_core.models import EMBEDDED
from asr_core.process.logs import get_logger
from asr_worker.engines.base import Feature, PendingTexts, SegmentAudio
from asr_worker.engines.declaration import DeclaredEngine
from asr_worker.engines.funasr_models import ModelFolder
from asr_worker.engines.remote_server import ModelServer
from asr_worker.engines.remote_wire import Detail, Failure, Kind, base_url, failure_of
from asr_worker.errors import ModelNotLoaded
from asr_worker.metrics import WorkerMetrics
from asr_worker.settings import WorkerSettings

# Stands for the folder that a remote model does not have.
NO_FOLDER: Final = ModelFolder("", Path(), "remote")
MOST_REPLY_BYTES: Final = 4 * 1024**2
_CONNECT_SECONDS: Final = 5.0
# Attempts of one segment, and the probe after them, must end before the worker's watchdog does.
_REQUESTS_BEFORE_DEADLINE: Final = 5
_log = get_logger(__name__)


class RemoteEngine(DeclaredEngine):
    """The `remote` engine: sends each segment as a request of its own."""

    name = "remote"
    architectures = frozenset({NO_FOLDER.architecture})
    auto_architectures = architectures
    precisions = frozenset({"float32"})
    own_settings: ClassVar = {"remote_url": "ASR_REMOTE_URL"}

    def __init__(self, settings: WorkerSettings) -> None:
        """Connects to nobody. Raises ModelNotLoaded."""
        _check(settings)
        self._server = ModelServer(
            HttpTransport(settings), settings.remote_model, settings.remote_concurrency
        )
        self.device = "remote"
        self.languages: frozenset[str] = frozenset()

    @classmethod
    def create(cls, folder: ModelFolder, device: str, settings: WorkerSettings) -> Self:
        """An engine as configured, not connected yet. Raises ModelNotLoaded."""
        return cls(settings)

    @property
    def server(self) -> ModelServer:
        return self._server

    @property
    def model_id(self) -> str:
        return self._server.model

    @property
    def supports(self) -> frozenset[Feature]:
        """What the server has shown with the first clip."""
        found: dict[Feature, bool] = {
            "language": True,
            "task": self._server.translates,
            "prompt": self._server.prompts,
            "hotwords": self._server.prompts,
            "timestamps": self._server.detail is Detail.WORDS,
        }
        return frozenset(feature for feature, is_there in found.items() if is_there)

    def load(self) -> None:
        """Waits for the server and finds out its model and what it tells. Raises ModelNotLoaded."""
        self._server.start()

    def warm_up(self) -> None:
        """Nothing: `load` has transcribed a clip, and whether later failures are the server's is
        decided for each by `ServerHealth`.
        """

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        """Sends the segments, all at once; calling the result waits for their texts."""
        pending = [self._server.text_of(segment) for segment in batch]
        return lambda: [each.result() for each in pending]


class HttpTransport:
    """Requests to one server, counted and timed. Lives on one event loop."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Connects to nobody. Raises ModelNotLoaded."""
        self._most_seconds = settings.remote_timeout_seconds
        self._client = _client(settings)
        self.metrics: WorkerMetrics | None = None

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, method: str, path: str, **content: Any) -> bytes | Failure:
        """One request, counted and timed."""
        if self.metrics is None:
            return (await self._exchange(method, path, content))[1]
        started = time.monotonic()
        with self.metrics.model_server_requests_in_flight.track_inprogress():
            outcome, result = await self._exchange(method, path, content)
        self.metrics.model_server_requests.labels(outcome).inc()
        self.metrics.model_server_request_seconds.observe(time.monotonic() - started)
        return result

    async def _exchange(
        self, method: str, path: str, content: dict[str, Any]
    ) -> tuple[str, bytes | Failure]:
        """The outcome for the counter, a status or a word, and the body or what went wrong."""
        try:
            async with (
                asyncio.timeout(self._most_seconds),
                self._client.stream(method, path, **content) as reply,
            ):
                body = await _bounded(reply)
        except httpx.ConnectTimeout:
            return "unreachable", Failure(Kind.AWAY, "no connection in time")
        except (TimeoutError, httpx.TimeoutException):
            return "timeout", Failure(Kind.FAILED, f"no reply within {self._most_seconds:g} s")
        except httpx.ConnectError as error:
            kind = Kind.MISCONFIGURED if "CERTIFICATE" in str(error) else Kind.AWAY
            return "unreachable", Failure(kind, f"no connection: {error}")
        except httpx.HTTPError as error:
            return "broken", Failure(Kind.FAILED, f"the connection broke: {type(error).__name__}")
        if body is None:
            reason = f"the reply is compressed or above {MOST_REPLY_BYTES} bytes"
            return "unusable", Failure(Kind.FAILED, reason)
        if reply.status_code == 200:
            return "200", body
        retry_after = reply.headers.get("retry-after", "")
        return str(reply.status_code), failure_of(reply.status_code, body, retry_after)


def _client(settings: WorkerSettings) -> httpx.AsyncClient:
    headers = {"Accept-Encoding": "identity"}
    if settings.remote_api_key:
        headers["Authorization"] = f"Bearer {settings.remote_api_key}"
    seconds = settings.remote_timeout_seconds
    return httpx.AsyncClient(
        base_url=base_url(settings.remote_url),
        headers=headers,
        verify=_authorities(settings.remote_ca_file),
        timeout=httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds), pool=None),
        limits=httpx.Limits(max_keepalive_connections=settings.remote_concurrency),
        follow_redirects=False,
        trust_env=False,
    )


def _authorities(file: Path | None) -> ssl.SSLContext:
    """The system's (`SSL_CERT_FILE` included), certifi's and those of a file. Raises
    ModelNotLoaded.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if file is not None:
        try:
            context.load_verify_locations(file)
        except OSError as error:  # of which ssl.SSLError is one
            raise ModelNotLoaded(
                f"ASR_REMOTE_CA_FILE: {file} cannot be read as certificates in PEM form: "
                f"{error.strerror}"
            ) from None
    return context


def _check(settings: WorkerSettings) -> None:
    """Raises ModelNotLoaded for settings that do not go together."""
    if not settings.remote_url:
        raise ModelNotLoaded("engine remote needs ASR_REMOTE_URL, such as http://localhost:8000/v1")
    if settings.model not in ("", EMBEDDED):
        _log.info("ASR_MODEL is not used: the model server has its own", model=settings.model)
    least = settings.remote_timeout_seconds * _REQUESTS_BEFORE_DEADLINE
    if settings.progress_deadline_seconds < least:
        raise ModelNotLoaded(
            f"ASR_REMOTE_TIMEOUT_SECONDS={settings.remote_timeout_seconds:g} needs "
            f"ASR_PROGRESS_DEADLINE_SECONDS of {least:g} at least: requests are repeated"
        )


async def _bounded(reply: httpx.Response) -> bytes | None:
    """The body as it was sent; None if it is too large, or compressed though nobody asked."""
    if reply.headers.get("content-encoding", "identity") != "identity":
        return None
    body = bytearray()
    async for piece in reply.aiter_raw():
        body += piece
        if len(body) > MOST_REPLY_BYTES:
            return None
    return bytes(body)

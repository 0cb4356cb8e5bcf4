"""A model on a server of OpenAI's transcription contract: vLLM, speaches, LocalAI, OpenAI, ours.

The only module of the worker that imports an HTTP client. It follows no redirect, reads no proxy
from the environment, bounds time and size of every reply, and takes nothing of it but text.
Requests run on an event loop in a thread of its own, as many at once as configured.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
import wave
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar

import httpx
import numpy as np

from asr_core.options import TaskOptions
from asr_core.process.logs import get_logger
from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.engines.base import Feature, PendingTexts, SegmentAudio, SegmentText
from asr_worker.engines.declaration import DeclaredEngine
from asr_worker.engines.funasr_models import EMBEDDED, ModelFolder
from asr_worker.engines.remote_health import ServerHealth, at_start
from asr_worker.engines.remote_wire import (
    Detail,
    Failure,
    Form,
    Kind,
    base_url,
    failure_of,
    form_of,
    read_models,
    read_reply,
    wav_of,
)
from asr_worker.errors import ModelNotLoaded
from asr_worker.metrics import WorkerMetrics
from asr_worker.settings import WorkerSettings

# Stands for the folder that a remote model does not have.
NO_FOLDER: Final = ModelFolder("", Path(), "remote")
MOST_REPLY_BYTES: Final = 4 * 1024**2
_CONNECT_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 4
_MODELS_SHOWN: Final = 10
# Attempts of one segment, and the probe after them, must end before the worker's watchdog does.
_REQUESTS_BEFORE_DEADLINE: Final = 5
_log = get_logger(__name__)
Result = TypeVar("Result")


class RemoteEngine(DeclaredEngine):
    """The `remote` engine: sends each segment as a request of its own."""

    name = "remote"
    architectures = frozenset({NO_FOLDER.architecture})
    auto_architectures = architectures
    precisions = frozenset({"float32"})
    own_settings: ClassVar = {"remote_url": "ASR_REMOTE_URL"}

    def __init__(self, settings: WorkerSettings) -> None:
        self._server = ModelServer(settings)
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
        """Words have times where the server gave them for the first clip."""
        timed: frozenset[Feature] = frozenset({"timestamps"})
        always: frozenset[Feature] = frozenset({"language", "hotwords"})
        return always | timed if self._server.detail is Detail.WORDS else always

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


class ModelServer:
    """The server, as `asr_worker.engines.base.EngineServer` and over HTTP."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Connects to nobody. Raises ModelNotLoaded."""
        _check(settings)
        self._settings = settings
        self._metrics: WorkerMetrics | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)
        self._slots = asyncio.Semaphore(settings.remote_concurrency)
        self._health = ServerHealth(self._probe)
        self._watching: Future[None] | None = None
        self._client = _client(settings)
        self.requests_at_once = settings.remote_concurrency
        self.model = settings.remote_model
        self.detail = Detail.TEXT

    @property
    def problem(self) -> str:
        """Why it cannot be used now; empty if it can. Safe from any thread."""
        return self._health.problem

    def start(self) -> None:
        """Returns once the server has transcribed a clip. Raises ModelNotLoaded."""
        self._thread.start()
        self._soon(self._discover()).result()
        self._watching = self._soon(self._health.watch(self._ping))

    def text_of(self, segment: SegmentAudio) -> Future[SegmentText]:
        """The text to be. Raises through the future what `ServerHealth.persist` raises."""
        form = form_of(segment.options, self.model, self.detail)
        return self._soon(self._persist(wav_of(segment.pcm), form))

    def publish(self, metrics: WorkerMetrics) -> None:
        """Counts requests from now on."""
        self._metrics = metrics

    def close(self) -> None:
        """Ends the requests under way and the thread."""
        if self._loop.is_running():
            with suppress(TimeoutError):
                self._soon(self._end()).result(_CONNECT_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CONNECT_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _soon(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()

    async def _discover(self) -> None:
        """Which model it is, and how much the server tells: a clip of speech is transcribed."""
        if not self.model:
            self.model = await self._only_model()
        for detail in Detail:
            self.detail = detail
            text = await at_start(partial(self._probe, must_tell=detail is Detail.TEXT))
            if text.words or (text.text and detail is not Detail.WORDS):
                break
        _log.info("model server ready", model=self.model, tells=self.detail.value)

    async def _only_model(self) -> str:
        found: tuple[str, ...] = ()

        async def ask() -> SegmentText | Failure:
            nonlocal found
            listed = await self._models()
            if isinstance(listed, Failure):
                return listed
            found = listed
            return SegmentText("")

        await at_start(ask)
        if len(found) == 1:
            return found[0]
        shown = ", ".join(found[:_MODELS_SHOWN]) or "none"
        raise ModelNotLoaded(f"ASR_REMOTE_MODEL must name a model; the server's are: {shown}")

    async def _persist(self, wav: bytes, form: Form) -> SegmentText:
        async with self._slots:
            return await self._health.persist(partial(self._transcribe, wav, form))

    async def _probe(self, *, must_tell: bool = True) -> SegmentText | Failure:
        """The text of the clip, told as `detail` says; empty if a server need not tell so much
        and answers that it cannot.
        """
        form = form_of(TaskOptions(), self.model, self.detail)
        result = await self._transcribe(wav_of(_clip()), form)
        unable = isinstance(result, Failure) and result.cannot_answer
        return SegmentText("") if unable and not must_tell else result

    async def _ping(self) -> object | Failure:
        """Whether somebody is there; servers without a list of models are only reachable."""
        listed = await self._models()
        unlisted = isinstance(listed, Failure) and listed.kind is Kind.MISCONFIGURED
        return None if unlisted else listed

    async def _models(self) -> tuple[str, ...] | Failure:
        body = await self._ask("GET", "models")
        return body if isinstance(body, Failure) else read_models(body)

    async def _transcribe(self, wav: bytes, form: Form) -> SegmentText | Failure:
        files = {"file": ("segment.wav", wav, "audio/wav")}
        body = await self._ask("POST", "audio/transcriptions", data=form, files=files)
        return body if isinstance(body, Failure) else read_reply(body)

    async def _ask(self, method: str, path: str, **content: Any) -> bytes | Failure:
        """One request, counted and timed."""
        if self._metrics is None:
            return (await self._exchange(method, path, content))[1]
        started = time.monotonic()
        with self._metrics.model_server_requests_in_flight.track_inprogress():
            outcome, result = await self._exchange(method, path, content)
        self._metrics.model_server_requests.labels(outcome).inc()
        self._metrics.model_server_request_seconds.observe(time.monotonic() - started)
        return result

    async def _exchange(
        self, method: str, path: str, content: dict[str, Any]
    ) -> tuple[str, bytes | Failure]:
        """The outcome for the counter, a status or a word, and the body or what went wrong."""
        most_seconds = self._settings.remote_timeout_seconds
        try:
            async with (
                asyncio.timeout(most_seconds),
                self._client.stream(method, path, **content) as reply,
            ):
                body = await _bounded(reply)
        except httpx.ConnectTimeout:
            return "unreachable", Failure(Kind.AWAY, "no connection in time")
        except (TimeoutError, httpx.TimeoutException):
            return "timeout", Failure(Kind.FAILED, f"no reply within {most_seconds:g} s")
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
        verify=ssl.create_default_context(cafile=settings.remote_ca_file)
        if settings.remote_ca_file
        else True,
        timeout=httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds), pool=None),
        limits=httpx.Limits(max_keepalive_connections=settings.remote_concurrency),
        follow_redirects=False,
        trust_env=False,
    )


def _check(settings: WorkerSettings) -> None:
    """Raises ModelNotLoaded for settings that do not go together."""
    if not settings.remote_url:
        raise ModelNotLoaded("engine remote needs ASR_REMOTE_URL, such as http://localhost:8000/v1")
    if settings.model != EMBEDDED:
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


def _clip() -> FloatArray:
    """Seconds of speech: the bundled model's demo."""
    file = resources.files("asr_worker") / EMBEDDED / "demo.wav"
    with file.open("rb") as opened, wave.open(opened) as clip:
        raw = clip.readframes(_PROBE_SECONDS * SAMPLE_RATE)
    return np.frombuffer(raw, np.int16).astype(np.float32) / np.float32(32768)

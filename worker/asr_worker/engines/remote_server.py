"""Segments to a model server and their texts, many at once, whatever carries the requests.

Requests run on an event loop in a thread of its own. Knows no HTTP: that is
`asr_worker.engines.remote`.
"""

from __future__ import annotations

import asyncio
import threading
import wave
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from importlib import resources
from typing import Any, Final, Protocol, TypeVar

import numpy as np

from asr_core.models import EMBEDDED
from asr_core.options import TaskOptions
from asr_core.process.logs import get_logger
from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.engines.base import SegmentAudio, SegmentText
from asr_worker.engines.remote_health import ServerHealth, at_start
from asr_worker.engines.remote_wire import (
    Detail,
    Failure,
    Form,
    Kind,
    form_of,
    path_of,
    read_models,
    read_reply,
    wav_of,
)
from asr_worker.errors import ModelNotLoaded
from asr_worker.metrics import WorkerMetrics

_END_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 4
_PROMPT: Final = "Monday"
_MODELS_SHOWN: Final = 10
_log = get_logger(__name__)
Result = TypeVar("Result")


class Transport(Protocol):
    """Carries requests to one server; used on one event loop."""

    metrics: WorkerMetrics | None

    async def ask(self, method: str, path: str, **content: Any) -> bytes | Failure:
        """The body of a reply, or why there is none."""

    async def close(self) -> None:
        """Called once, last."""


class ModelServer:
    """The server as the worker sees it: `asr_worker.engines.base.EngineServer`.

    `model` and `detail`, how much it tells, are known once it has started; so is whether it takes
    `prompts` and `translates`.
    """

    def __init__(self, transport: Transport, model: str, requests_at_once: int) -> None:
        """Connects to nobody. `model` may be empty: the server's only one."""
        self._transport = transport
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)
        self._slots = asyncio.Semaphore(requests_at_once)
        self._health = ServerHealth(self._probe)
        self._watching: Future[None] | None = None
        self.requests_at_once = requests_at_once
        self.model = model
        self.detail = Detail.TEXT
        self.prompts = self.translates = True

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
        form = form_of(segment.options, self.model, self.detail, prompts=self.prompts)
        path = path_of(segment.options)
        return self._soon(self._persist(path, wav_of(segment.pcm), form))

    def publish(self, metrics: WorkerMetrics) -> None:
        """Counts requests from now on."""
        self._transport.metrics = metrics

    def close(self) -> None:
        """Ends the requests under way and the thread."""
        if self._loop.is_running():
            with suppress(TimeoutError):
                self._soon(self._end()).result(_END_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_END_SECONDS)

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
        await self._transport.close()

    async def _discover(self) -> None:
        """Which model it is, how much it tells, and if it takes a prompt: a clip is transcribed."""
        if not self.model:
            self.model = await self._only_model()
        for detail in Detail:
            self.detail = detail
            text = await at_start(partial(self._probe, must_tell=detail is Detail.TEXT))
            if text.words or (text.text and detail is not Detail.WORDS):
                break
        self.prompts = await self._takes(TaskOptions(prompt=_PROMPT))
        self.translates = await self._takes(TaskOptions(task="translate"))
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

    async def _persist(self, path: str, wav: bytes, form: Form) -> SegmentText:
        async with self._slots:
            return await self._health.persist(partial(self._transcribe, path, wav, form))

    async def _takes(self, options: TaskOptions) -> bool:
        """Whether the server can do with the clip what is asked here."""
        able = True

        async def ask() -> SegmentText | Failure:
            nonlocal able
            result = await self._transcribe(path_of(options), wav_of(_clip()), self._form(options))
            if isinstance(result, Failure) and result.kind not in (Kind.AWAY, Kind.BUSY):
                able, result = False, SegmentText("")
            return result

        await at_start(ask)
        return able

    async def _probe(self, *, must_tell: bool = True) -> SegmentText | Failure:
        """The text of the clip, told as `detail` says; empty if a server need not tell so much
        and answers that it cannot.
        """
        options = TaskOptions()
        result = await self._transcribe(path_of(options), wav_of(_clip()), self._form(options))
        unable = isinstance(result, Failure) and result.cannot_answer
        return SegmentText("") if unable and not must_tell else result

    def _form(self, options: TaskOptions) -> Form:
        return form_of(options, self.model, self.detail, prompts=self.prompts)

    async def _ping(self) -> object | Failure:
        """Whether somebody is there; servers without a list of models are only reachable."""
        listed = await self._models()
        unlisted = isinstance(listed, Failure) and listed.kind is Kind.MISCONFIGURED
        return None if unlisted else listed

    async def _models(self) -> tuple[str, ...] | Failure:
        body = await self._transport.ask("GET", "models")
        return body if isinstance(body, Failure) else read_models(body)

    async def _transcribe(self, path: str, wav: bytes, form: Form) -> SegmentText | Failure:
        files = {"file": ("segment.wav", wav, "audio/wav")}
        body = await self._transport.ask("POST", path, data=form, files=files)
        return body if isinstance(body, Failure) else read_reply(body)


def _clip() -> FloatArray:
    """Seconds of speech: the bundled model's demo."""
    file = resources.files("asr_worker") / EMBEDDED / "demo.wav"
    with file.open("rb") as opened, wave.open(opened) as clip:
        raw = clip.readframes(_PROBE_SECONDS * SAMPLE_RATE)
    return np.frombuffer(raw, np.int16).astype(np.float32) / np.float32(32768)

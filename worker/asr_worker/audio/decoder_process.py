"""Worker side of one decoder process, in which a hostile file can crash only its own decoding.

Jobs go through a pipe, one file at a time; samples come back through files in the work folder.
Replies are JSON, never pickles: a file that takes over the decoder must not be able to run code in
the worker. The process ends with the worker, even if the worker is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import psutil

from asr_core.errors import (
    AsrError,
    AudioTooLong,
    DecoderCrashed,
    EmptyAudio,
    TooExpensive,
    TransientTaskError,
    UnreadableAudio,
)
from asr_core.process.child_environment import child_environment
from asr_core.result import TranscriptWarning
from asr_worker.audio.decoder import DecodeLimits
from asr_worker.audio.decoder_child import READY, TAKEN
from asr_worker.audio.pcm import Channels, PcmFile

START_SECONDS: Final = 60.0
COMMAND = (sys.executable, "-B", "-m", "asr_worker.audio.decoder_child")
_POLL_SECONDS: Final = 0.25
_REPLY_BYTES: Final = 1024 * 1024
_ERRORS: Final[dict[str, type[AsrError]]] = {
    error.code: error
    for error in (
        UnreadableAudio, EmptyAudio, AudioTooLong, TooExpensive, DecoderCrashed, TransientTaskError,
    )
}  # fmt: skip


@dataclass(frozen=True)
class DecodeJob:
    """Decode `source` into `target`, a file in the work folder that the caller deletes."""

    source: Path
    target: Path
    channels: Channels = "mix"
    track: int | None = None
    limits: DecodeLimits = field(default_factory=DecodeLimits)


@dataclass(frozen=True)
class JobWatch:
    """Callbacks of a running job, called a few times a second on a thread of the pool.

    `on_progress` gets the bytes of samples written so far and the CPU seconds they took; the job is
    stopped once `wanted` returns False.
    """

    on_progress: Callable[[int, float], None] = lambda _bytes, _seconds: None
    wanted: Callable[[], bool] = lambda: True


class DecoderProcess:
    """Started on first use, and again after a crash. One thread at a time may use it.

    `stall_seconds` is the longest time without new samples; `memory_bytes` bounds the address
    space; after `jobs_per_process` files the process is replaced.
    """

    def __init__(self, stall_seconds: float, memory_bytes: int, jobs_per_process: int) -> None:
        self._stall_seconds = stall_seconds
        self._memory_bytes = memory_bytes
        self._jobs_per_process = jobs_per_process
        self._jobs = 0
        self._retired = False
        # `retire` comes from another thread, and may come while a process is being started.
        self._starting = threading.Lock()
        self.busy = False
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs_in: Connection | None = None
        self._replies: Connection | None = None

    @property
    def process_id(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def warm_up(self) -> None:
        """Starts the process, so that the first file does not pay for it."""
        with contextlib.suppress(OSError, AsrError):
            self._ready()

    def run(self, job: DecodeJob, watch: JobWatch) -> PcmFile:
        """Raises what decoding raised, TooExpensive if the system ended the process for that, or
        DecoderCrashed if it died of this file otherwise.
        """
        if self._jobs >= self._jobs_per_process:
            self.kill()
        try:
            reply = self._ask(job, watch)
        except (EOFError, OSError) as error:
            raise _death(self.kill()) from error
        finally:
            self.busy = False
        self._jobs += 1
        return _pcm(reply, job)

    def retire(self) -> None:
        """Kill the process under a running job, and start none again."""
        with self._starting:
            self._retired = True
            if self._process is not None:
                self._process.kill()

    def kill(self) -> str:
        """End the process, if there is one, and say how it ended."""
        process, self._process, self._jobs = self._process, None, 0
        pipes, self._jobs_in, self._replies = (self._jobs_in, self._replies), None, None
        if process is None:
            return "not started"
        for pipe in pipes:
            if pipe is not None:
                pipe.close()
        try:
            code = process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _ask(self, job: DecodeJob, watch: JobWatch) -> dict[str, Any]:
        replies = self._send_job(job)
        self.busy = True
        watch.on_progress(0, 0.0)  # it has begun: starting a process took its time
        used_before = self._cpu_seconds()
        grown_at, size = time.monotonic(), 0
        while not replies.poll(min(_POLL_SECONDS, self._stall_seconds / 4)):
            if not watch.wanted():
                self._kill_now()
                raise TransientTaskError("nobody waits for this file any more")
            if (now_size := _size(job.target)) != size:
                grown_at, size = time.monotonic(), now_size
            elif time.monotonic() - grown_at > self._stall_seconds:
                self._kill_now()
                raise DecoderCrashed(
                    f"the decoder made no progress for {self._stall_seconds:g} s on this file"
                )
            watch.on_progress(size, max(0.0, self._cpu_seconds() - used_before))
        reply: dict[str, Any] = json.loads(replies.recv_bytes(_REPLY_BYTES))
        watch.on_progress(_size(job.target), max(0.0, self._cpu_seconds() - used_before))
        return reply

    def _cpu_seconds(self) -> float:
        """Of the process since its start; 0 once it has ended."""
        with contextlib.suppress(psutil.Error):
            if (process_id := self.process_id) is not None:
                times = psutil.Process(process_id).cpu_times()
                return float(times.user + times.system)
        return 0.0

    def _send_job(self, job: DecodeJob) -> Connection:
        """A process that died between two files is replaced: that is not this file's fault."""
        fields = json.dumps({**asdict(job), "source": str(job.source), "target": str(job.target)})
        for _ in range(2):
            jobs, replies = self._ready()
            try:
                jobs.send_bytes(fields.encode())
                if replies.poll(START_SECONDS) and replies.recv_bytes(_REPLY_BYTES) == TAKEN:
                    return replies
            except (EOFError, OSError):
                pass
            self._kill_now()
        raise DecoderCrashed("no decoder could be started")

    def _kill_now(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.kill()

    def _ready(self) -> tuple[Connection, Connection]:
        """The pipes to and from a process that has imported what it needs."""
        with self._starting:
            if self._retired:
                raise TransientTaskError("the decoders are closed")
            if self._jobs_in is not None and self._replies is not None:
                return self._jobs_in, self._replies
            jobs, replies = self._start()
        try:
            if replies.poll(START_SECONDS) and replies.recv_bytes(_REPLY_BYTES) == READY:
                return jobs, replies
        except (EOFError, OSError):
            pass
        self._kill_now()
        raise DecoderCrashed("no decoder could be started")

    def _start(self) -> tuple[Connection, Connection]:
        process = subprocess.Popen(
            [*COMMAND, str(self._memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        jobs = Connection(os.dup(process.stdin.fileno()), readable=False)
        replies = Connection(os.dup(process.stdout.fileno()), writable=False)
        process.stdin.close()
        process.stdout.close()
        self._process, self._jobs_in, self._replies = process, jobs, replies
        return jobs, replies


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _pcm(reply: dict[str, Any], job: DecodeJob) -> PcmFile:
    """Raises the error that was replied."""
    if "errno" in reply:
        raise OSError(reply["errno"], reply["message"])
    if "error" in reply:
        raise _ERRORS.get(reply["error"], TransientTaskError)(str(reply["message"]))
    fields = {**reply["pcm"], "path": job.target}
    warnings = tuple(TranscriptWarning(**warning) for warning in fields.pop("warnings"))
    return PcmFile(**fields, warnings=warnings)


def _death(how: str) -> AsrError:
    if how == "signal SIGXCPU":
        return TooExpensive("decoding took more processor time than is allowed for so much sound")
    return DecoderCrashed(f"the decoder died on this file ({how})")

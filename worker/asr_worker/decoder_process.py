"""One decoder process: where a hostile file can kill only itself.

The process is asked through a pipe, one file at a time; samples come back through the work folder,
never through the pipe. It ends with the worker, however that ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from asr_core.errors import AsrError, DecoderCrashed, TransientTaskError
from asr_worker import audio
from asr_worker.audio import DecodeLimits
from asr_worker.pcm import Channels, PcmFile

START_SECONDS: Final = 60.0
_READY: Final = "ready"
_TAKEN: Final = "taken"
_CONTEXT: Final = multiprocessing.get_context("spawn")


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
    """What the waiting side hears and says, about once a second, on a thread of the pool: how many
    bytes of samples there are by now, and whether they are still wanted.
    """

    on_growth: Callable[[int], None] = lambda _: None
    wanted: Callable[[], bool] = lambda: True


class DecoderProcess:
    """Started when first needed, and again after a crash. One thread at a time may use it.

    `stall_seconds` is how long a file may bring no samples; `memory_bytes` bounds the address
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
        self.started = 0
        self.busy = False
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def process_id(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def warm_up(self) -> None:
        """Starts the process, so that the first file does not pay for it."""
        with contextlib.suppress(OSError, AsrError):
            self._ready_pipe()

    def run(self, job: DecodeJob, watch: JobWatch) -> PcmFile:
        """Raises what decoding raised, or DecoderCrashed if the process died of this file."""
        if self._jobs >= self._jobs_per_process:
            self.kill()
        try:
            reply = self._ask(job, watch)
        except (EOFError, OSError) as error:
            raise DecoderCrashed(f"the decoder died on this file ({self.kill()})") from error
        finally:
            self.busy = False
        self._jobs += 1
        if isinstance(reply, PcmFile):
            return reply
        raise reply

    def retire(self) -> None:
        """Kill the process under a running job, and start none again."""
        with self._starting:
            self._retired = True
            if self._process is not None:
                self._process.kill()

    def kill(self) -> str:
        """End the process, if there is one, and say how it ended."""
        process, pipe, self._process, self._pipe, self._jobs = (
            self._process,
            self._pipe,
            None,
            None,
            0,
        )
        if process is None or pipe is None:
            return "not started"
        pipe.close()
        process.join(timeout=1.0)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode or 0
        process.close()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _ask(self, job: DecodeJob, watch: JobWatch) -> PcmFile | AsrError | OSError:
        pipe = self._hand_over(job)
        self.busy = True
        look_seconds = min(1.0, self._stall_seconds / 4)
        grown_at, size = time.monotonic(), 0
        while not pipe.poll(look_seconds):
            if not watch.wanted():
                self._kill_now()
                raise TransientTaskError("nobody waits for this file any more")
            if (now_size := _size(job.target)) != size:
                grown_at, size = time.monotonic(), now_size
                watch.on_growth(size)
            elif time.monotonic() - grown_at > self._stall_seconds:
                self._kill_now()
                raise DecoderCrashed(
                    f"the decoder made no progress for {self._stall_seconds:g} s on this file"
                )
        reply: PcmFile | AsrError | OSError = pipe.recv()
        return reply

    def _hand_over(self, job: DecodeJob) -> Connection:
        """A process that died between two files is replaced: that is not this file's fault."""
        for _ in range(2):
            pipe = self._ready_pipe()
            try:
                pipe.send(job)
                if pipe.poll(START_SECONDS) and pipe.recv() == _TAKEN:
                    return pipe
            except (EOFError, OSError):
                pass
            self._kill_now()
        raise DecoderCrashed("no decoder could be started")

    def _kill_now(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.kill()

    def _ready_pipe(self) -> Connection:
        """The pipe of a process that has imported what it needs."""
        with self._starting:
            if self._retired:
                raise TransientTaskError("the decoders are closed")
            if self._pipe is not None:
                return self._pipe
            pipe = self._start()
        try:
            if pipe.poll(START_SECONDS) and pipe.recv() == _READY:
                return pipe
        except (EOFError, OSError):
            pass
        self._kill_now()
        raise DecoderCrashed("no decoder could be started")

    def _start(self) -> Connection:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_serve, args=(theirs, self._memory_bytes), daemon=True)
        process.start()
        theirs.close()
        self.started += 1
        self._process, self._pipe = process, ours
        return ours


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _serve(pipe: Connection, memory_bytes: int) -> None:
    """The decoder process: one job at a time until the pipe closes.

    Signals are for the worker: it still wants its files decoded while it drains.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _bound_memory(memory_bytes)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(_READY)
        while True:
            job = pipe.recv()
            pipe.send(_TAKEN)
            pipe.send(_answer(job))


def _end_with_parent() -> None:
    """A worker that was killed reads no pipe: a decoder that hangs would outlive it for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _answer(job: DecodeJob) -> PcmFile | AsrError | OSError:
    try:
        return audio.spool(
            job.source, job.target, channels=job.channels, track=job.track, limits=job.limits
        )
    except AsrError as error:
        return error
    except MemoryError:
        return DecoderCrashed("the decoder ran out of memory on this file")
    except OSError as error:
        return OSError(error.errno, error.strerror)
    except Exception as error:
        return TransientTaskError(f"decoding failed: {type(error).__name__}: {error}")


def _bound_memory(memory_bytes: int) -> None:
    """Bound the address space where the system can; a codec's runaway buffer then fails here."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # macOS refuses an address space limit
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))

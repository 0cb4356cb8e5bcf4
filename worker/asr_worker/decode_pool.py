"""Decoding in processes of its own: in parallel, and where a hostile file can kill only itself.

Each slot is one process with one pipe, not a shared executor: when a process dies it is known whose
file it held, and no other file notices. Samples come back through the file, never through the pipe.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from asr_core.errors import AsrError, DecoderCrashed, TransientTaskError
from asr_worker import audio
from asr_worker.audio import DecodeLimits
from asr_worker.pcm import Channels, PcmFile, energy_path

GIB: Final = 1024**3


@dataclass(frozen=True)
class DecodeJob:
    """Decode `source` into `target`, a file in the work folder that the caller deletes."""

    source: Path
    target: Path
    channels: Channels = "mix"
    limits: DecodeLimits = field(default_factory=DecodeLimits)


class DecodePool:
    """`processes` decoders; safe to submit to from any thread."""

    def __init__(
        self,
        processes: int,
        *,
        timeout_seconds: float = 600.0,
        memory_bytes: int = 4 * GIB,
        jobs_per_process: int = 500,
    ) -> None:
        """`memory_bytes` bounds each process's address space; after `jobs_per_process` files a
        process is replaced, so that a leak in a codec never adds up."""
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decode")
        self._slots = [
            _Slot(timeout_seconds, memory_bytes, jobs_per_process) for _ in range(processes)
        ]
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)

    def submit(self, job: DecodeJob) -> Future[PcmFile]:
        """The future raises what decoding raised, or DecoderCrashed if its process died."""
        return self._threads.submit(self._run, job)

    @property
    def processes_started(self) -> int:
        """How many processes were started so far; more than `processes` means replacements."""
        return sum(slot.started for slot in self._slots)

    def busy_processes(self) -> list[int]:
        """Process ids of the decoders that hold a file right now."""
        return [slot.process_id for slot in self._slots if slot.busy and slot.process_id]

    def close(self) -> None:
        """End the processes; jobs that wait are cancelled, running ones end as DecoderCrashed."""
        for slot in self._slots:
            slot.retire()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for slot in self._slots:
            slot.kill()

    def _run(self, job: DecodeJob) -> PcmFile:
        slot = self._free.get()
        try:
            return slot.run(job)
        except BaseException:
            job.target.unlink(missing_ok=True)
            energy_path(job.target).unlink(missing_ok=True)
            raise
        finally:
            self._free.put(slot)


class _Slot:
    """One decoder process, started when first needed and again after a crash."""

    def __init__(self, timeout_seconds: float, memory_bytes: int, jobs_per_process: int) -> None:
        self._timeout_seconds = timeout_seconds
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

    def run(self, job: DecodeJob) -> PcmFile:
        if self._jobs >= self._jobs_per_process:
            self.kill()
        self.busy = True
        try:
            reply = self._ask(job)
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
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _ask(self, job: DecodeJob) -> PcmFile | AsrError:
        with self._starting:
            if self._retired:
                raise TransientTaskError("the decoders are closed")
            pipe = self._pipe or self._start()
        pipe.send(job)
        if not pipe.poll(self._timeout_seconds):
            if self._process is not None:
                self._process.kill()
            self.kill()
            raise DecoderCrashed(f"the decoder took longer than {self._timeout_seconds:g} s")
        reply: PcmFile | AsrError = pipe.recv()
        return reply

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._memory_bytes), daemon=True)
        process.start()
        theirs.close()
        self.started += 1
        self._process, self._pipe = process, ours
        return ours


def _serve(pipe: Connection, memory_bytes: int) -> None:
    """The decoder process: one job at a time until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _bound_memory(memory_bytes)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send(_answer(pipe.recv()))


def _answer(job: DecodeJob) -> PcmFile | AsrError:
    try:
        return audio.spool(job.source, job.target, channels=job.channels, limits=job.limits)
    except AsrError as error:
        return error
    except MemoryError:
        return DecoderCrashed("the decoder ran out of memory on this file")
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

"""A pool of decoder processes: parallel, and isolated from hostile files.

Each slot is one process with one pipe, not a shared executor: when a process dies, only the file
that it was decoding fails.
"""

from __future__ import annotations

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from asr_worker.audio.decoder_process import DecodeJob, DecoderProcess, JobWatch
from asr_worker.audio.pcm import PcmFile, energy_path

GIB: Final = 1024**3


class DecodePool:
    """`processes` decoders; safe to submit to from any thread."""

    def __init__(
        self,
        processes: int,
        *,
        stall_seconds: float = 300.0,
        memory_bytes: int = 4 * GIB,
        jobs_per_process: int = 500,
    ) -> None:
        """`stall_seconds` without new samples end a decoder, `memory_bytes` bounds its address
        space; after `jobs_per_process` files it is replaced, so that a codec's leak never adds up.
        """
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decode")
        self._decoders = [
            DecoderProcess(stall_seconds, memory_bytes, jobs_per_process) for _ in range(processes)
        ]
        self._free: queue.SimpleQueue[DecoderProcess] = queue.SimpleQueue()
        for decoder in self._decoders:
            self._free.put(decoder)

    def warm_up(self) -> None:
        """Starts all processes and returns at once."""
        for _ in self._decoders:
            self._threads.submit(self._warm_one)

    def submit(self, job: DecodeJob, watch: JobWatch | None = None) -> Future[PcmFile]:
        """The future raises what decoding raised, or DecoderCrashed if its process died."""
        return self._threads.submit(self._run, job, watch or JobWatch())

    def process_ids(self, *, busy: bool | None = None) -> list[int]:
        """Ids of the running decoders; `busy` selects those that do or do not decode a file now."""
        return [
            decoder.process_id
            for decoder in self._decoders
            if decoder.process_id and busy in (None, decoder.busy)
        ]

    def close(self) -> None:
        """End the processes; jobs that wait are cancelled, running ones end as DecoderCrashed."""
        for decoder in self._decoders:
            decoder.retire()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for decoder in self._decoders:
            decoder.kill()

    def _warm_one(self) -> None:
        decoder = self._free.get()
        try:
            decoder.warm_up()
        finally:
            self._free.put(decoder)

    def _run(self, job: DecodeJob, watch: JobWatch) -> PcmFile:
        decoder = self._free.get()
        try:
            return decoder.run(job, watch)
        except BaseException:
            job.target.unlink(missing_ok=True)
            energy_path(job.target).unlink(missing_ok=True)
            raise
        finally:
            self._free.put(decoder)

"""From a claim to a recording that is cut into segments: download, decode, cut.

Decoding is bounded by the pool's processes, disk by `work_dir_max_bytes`. One process and half of
the disk are kept free of long files, so that a short request never waits behind hours of audio.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from asr_core.settings import WorkerSettings
from asr_worker.audio import DecodeLimits
from asr_worker.decode_pool import DecodePool
from asr_worker.decoder_process import DecodeJob, JobWatch
from asr_worker.disk_room import DiskRoom
from asr_worker.hand import Stage, TaskInHand
from asr_worker.pcm import BYTES_PER_SECOND, SAMPLE_RATE, PcmFile
from asr_worker.recording import Recording, cut
from asr_worker.stages import Stages
from asr_worker.store_access import StoreAccess

LONG_SECONDS = 600.0
_DOWNLOADS = 8


class Preparation:
    """Bounded by `processes`, the size of the pool."""

    def __init__(
        self,
        settings: WorkerSettings,
        store: StoreAccess,
        pool: DecodePool,
        *,
        processes: int,
        stages: Stages,
    ) -> None:
        self._segment_max_seconds = settings.segment_max_seconds
        self._limits = DecodeLimits(settings.max_duration_seconds, settings.max_channels)
        self._store = store
        self._pool = pool
        self._stages = stages
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        self._slots = asyncio.Semaphore(processes)
        self._long_slots = asyncio.Semaphore(max(1, processes - 1))
        self._room = DiskRoom(settings.work_dir_max_bytes // 2)
        self._long_room = DiskRoom(settings.work_dir_max_bytes // 2)

    async def prepare(self, task: TaskInHand) -> Recording:
        """Raises what the store, the decoder or the disk raises."""
        source = task.folder / "source"
        is_long = task.claim.task.duration_seconds > LONG_SECONDS
        room = self._long_room if is_long else self._room
        task.disk = await room.share(self._expected_bytes(task))
        async with self._slot(is_long):
            async with self._downloads:
                self._stages.enter(task, Stage.DOWNLOAD)
                await self._store.download(task, source, lambda: self._stages.moved(task))
            self._stages.enter(task, Stage.DECODE)
            pcm = await self._decode(task)
        source.unlink()
        task.disk.resize(pcm.size_bytes)
        self._stages.enter(task, Stage.SEGMENT)
        options = task.claim.task.options
        recording = await asyncio.to_thread(
            cut, pcm, options, max_seconds=self._segment_max_seconds
        )
        task.total_seconds = recording.seconds
        return recording

    def _expected_bytes(self, task: TaskInHand) -> int:
        """The file as it came and its samples, of as many channels as there may be. Its duration is
        what the file claims: decoding corrects it.
        """
        claimed = task.claim.task
        lanes = 1 if claimed.options.channels == "mix" else self._limits.max_channels
        seconds = min(claimed.duration_seconds, self._limits.max_seconds)
        return claimed.bytes + round(seconds * lanes * BYTES_PER_SECOND)

    @asynccontextmanager
    async def _slot(self, is_long: bool) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if is_long:
                await stack.enter_async_context(self._long_slots)
            await stack.enter_async_context(self._slots)
            yield

    async def _decode(self, task: TaskInHand) -> PcmFile:
        job = DecodeJob(
            source=task.folder / "source",
            target=task.folder / "pcm",
            channels=task.claim.task.options.channels,
            track=task.claim.task.options.track,
            limits=self._limits,
        )
        abandoned = threading.Event()
        loop = asyncio.get_running_loop()

        def grown(samples_bytes: int) -> None:
            self._stages.decoding(task)
            loop.call_soon_threadsafe(self._reserve, task, samples_bytes)

        watch = JobWatch(grown, lambda: not abandoned.is_set())
        future = self._pool.submit(job, watch)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # The decoder is still writing: it is stopped, and what it leaves is removed then.
            abandoned.set()
            future.add_done_callback(lambda _: _remove(task))
            raise

    def _reserve(self, task: TaskInHand, samples_bytes: int) -> None:
        """A file that holds more than it claims takes its room while it is decoded."""
        if task.disk is None or task.stage is not Stage.DECODE:
            return
        decoded_seconds = samples_bytes / (2 * SAMPLE_RATE)
        needed_bytes = task.claim.task.bytes + round(decoded_seconds * BYTES_PER_SECOND)
        task.disk.resize(max(task.disk.size_bytes, needed_bytes))
        task.total_seconds = max(task.total_seconds, decoded_seconds)


def _remove(task: TaskInHand) -> None:
    shutil.rmtree(task.folder, ignore_errors=True)

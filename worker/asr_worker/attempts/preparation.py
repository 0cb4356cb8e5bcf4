"""Prepares a claimed task for the engine: download, decode, split into segments.

Decoding is bounded by the pool's processes, disk space by `work_dir_max_bytes`. Both are shared
fairly and partly reserved for short files, so that these never wait behind hours of audio. Headers
are not trusted: a file that proves to be long is treated as long from then on.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time

from asr_core.errors import TransientTaskError
from asr_worker.attempts.decoder_queue import DecoderQueue, DecoderSlot
from asr_worker.attempts.store_access import StoreAccess
from asr_worker.audio.decode_pool import DecodePool
from asr_worker.audio.decoder import DecodeLimits
from asr_worker.audio.decoder_process import DecodeJob, JobWatch
from asr_worker.audio.decoding.cost import CostLimits
from asr_worker.audio.pcm import BYTES_PER_SECOND, SAMPLE_RATE, PcmFile
from asr_worker.audio.speech import SpeechDetector
from asr_worker.in_flight.disk_quota import DiskQuota
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTask, Stage
from asr_worker.settings import WorkerSettings
from asr_worker.transcript.recording import Recording, segment_recording

# A recording is long if any of these is exceeded: seconds of audio by its header, later as decoded,
# of all channels together; bytes to download; CPU seconds (ten minutes of Opus take 4).
LONG_SECONDS = 600.0
LONG_BYTES = 256 * 1024**2
LONG_CPU_SECONDS = 4.0
# Share of the disk space that is reserved for tenants that use none.
_RESERVED_DISK = 1 / 8
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
        detector: SpeechDetector,
    ) -> None:
        self._segment_max_seconds = settings.segment_max_seconds
        self._limits = DecodeLimits(
            settings.max_duration_seconds,
            settings.max_channels,
            CostLimits(settings.decode_cpu_ratio, settings.decode_cpu_seconds),
        )
        self._store = store
        self._pool = pool
        self._stages = stages
        self._detector = detector
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        self._decoders = DecoderQueue(processes)
        half = settings.work_dir_max_bytes // 2
        reserved = round(half * _RESERVED_DISK)
        self._short_quota = DiskQuota(half - reserved, reserved_bytes=reserved)
        self._long_quota = DiskQuota(half - reserved, reserved_bytes=reserved)

    async def prepare(self, task: InFlightTask) -> Recording:
        """Raises what the store, the decoder, the disk or the detector of speech raises."""
        claimed = task.claim.task
        is_long = claimed.duration_seconds > LONG_SECONDS or claimed.bytes > LONG_BYTES
        quota = self._long_quota if is_long else self._short_quota
        task.disk = await quota.share(self._expected_bytes(task), claimed.tenant)
        recording = await self._recorded(task, is_long=is_long)
        if recording is None:  # it proved to be long, and no decoder for long ones was free
            task.disk.free()
            task.disk = await self._long_quota.share(self._expected_bytes(task), claimed.tenant)
            recording = await self._recorded(task, is_long=True)
            assert recording is not None
        task.total_seconds = recording.seconds
        return recording

    def _expected_bytes(self, task: InFlightTask) -> int:
        """Bytes of the file and of its samples, for the most channels it may have and the duration
        that its header declares; decoding corrects the latter.
        """
        claimed = task.claim.task
        channels = 1 if claimed.options.channels == "mix" else self._limits.max_channels
        seconds = min(claimed.duration_seconds, self._limits.max_seconds)
        return claimed.bytes + round(seconds * channels * BYTES_PER_SECOND)

    async def _recorded(self, task: InFlightTask, *, is_long: bool) -> Recording | None:
        """Downloaded, decoded and segmented; None if it had to leave its decoder because it proved
        to be long, like others. Speech is looked for while the decoder's slot is still held: it
        takes a processor as decoding does, and is shared in the same fair order.
        """
        claimed, source = task.claim.task, task.folder / "source"
        async with self._decoders.slot(claimed.tenant, claimed.lane, is_long=is_long) as slot:
            if not source.exists():
                async with self._downloads:
                    self._stages.enter(task, Stage.DOWNLOAD)
                    await self._store.download(task, source, lambda: self._stages.moved(task))
                self._stages.enter(task, Stage.DECODE)
            try:
                pcm = await self._decode(task, slot)
            except TransientTaskError:
                if slot.must_yield:
                    return None
                raise
            return await self._segment(task, pcm, slot)

    async def _decode(self, task: InFlightTask, slot: DecoderSlot) -> PcmFile:
        job = DecodeJob(
            source=task.folder / "source",
            target=task.folder / "pcm",
            channels=task.claim.task.options.channels,
            track=task.claim.task.options.track,
            limits=self._limits,
        )
        abandoned = threading.Event()
        loop = asyncio.get_running_loop()
        seen_bytes = -1  # that a decoder has begun is progress, too

        def on_progress(samples_bytes: int, cpu_seconds: float) -> None:
            nonlocal seen_bytes
            if samples_bytes != seen_bytes:
                seen_bytes = samples_bytes
                self._stages.preparing(task)
            loop.call_soon_threadsafe(self._on_progress, task, slot, samples_bytes, cpu_seconds)

        watch = JobWatch(on_progress, lambda: not (abandoned.is_set() or slot.must_yield))
        future = self._pool.submit(job, watch)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # The decoder is still writing: stop it, and remove its files once it has stopped.
            abandoned.set()
            future.add_done_callback(lambda _: _remove(task))
            raise

    async def _segment(self, task: InFlightTask, pcm: PcmFile, slot: DecoderSlot) -> Recording:
        assert task.disk is not None
        source = task.folder / "source"
        source.unlink()
        task.disk.resize(pcm.size_bytes)
        self._stages.enter(task, Stage.SEGMENT)
        abandoned = threading.Event()
        loop = asyncio.get_running_loop()
        decoding_seconds = slot.used_seconds

        def segmented() -> Recording:
            began = time.thread_time()

            def on_block() -> None:
                if abandoned.is_set():
                    raise TransientTaskError("nobody waits for this recording any more")
                self._stages.preparing(task)
                used_seconds = decoding_seconds + time.thread_time() - began
                loop.call_soon_threadsafe(self._decoders.charge, slot, used_seconds)

            return segment_recording(
                pcm,
                task.claim.task.options,
                max_seconds=self._segment_max_seconds,
                detector=self._detector,
                on_block=on_block,
            )

        try:
            return await asyncio.to_thread(segmented)
        except asyncio.CancelledError:
            abandoned.set()
            raise

    def _on_progress(
        self, task: InFlightTask, slot: DecoderSlot, samples_bytes: int, cpu_seconds: float
    ) -> None:
        """Adjusts the disk share of a file that is longer than declared, and treats it as long."""
        self._decoders.charge(slot, cpu_seconds)
        if task.disk is None or task.stage is not Stage.DECODE:
            return
        decoded_seconds = samples_bytes / (2 * SAMPLE_RATE)
        needed_bytes = task.claim.task.bytes + round(decoded_seconds * BYTES_PER_SECOND)
        task.disk.resize(max(task.disk.size_bytes, needed_bytes))
        task.total_seconds = max(task.total_seconds, decoded_seconds)
        if slot.is_long or (decoded_seconds <= LONG_SECONDS and cpu_seconds <= LONG_CPU_SECONDS):
            return
        self._decoders.became_long(slot, has_place=not self._long_quota.is_full)
        if not slot.must_yield:
            task.disk.move(self._long_quota)


def _remove(task: InFlightTask) -> None:
    shutil.rmtree(task.folder, ignore_errors=True)

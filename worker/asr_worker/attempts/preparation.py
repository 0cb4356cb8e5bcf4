"""From a claim to a recording that is cut into segments: download, decode, cut.

Decoding is bounded by the pool's processes, disk by `work_dir_max_bytes`; both are shared fairly
and kept in part free of long files, so that a short request never waits behind hours of audio. A
header may say anything: what turns out to be long is treated as long from then on.
"""

from __future__ import annotations

import asyncio
import shutil
import threading

from asr_core.errors import TransientTaskError
from asr_worker.attempts.decoder_queue import DecoderQueue, DecoderTurn
from asr_worker.attempts.store_access import StoreAccess
from asr_worker.audio.decode_pool import DecodePool
from asr_worker.audio.decoder import DecodeLimits
from asr_worker.audio.decoder_process import DecodeJob, JobWatch
from asr_worker.audio.decoding.cost import CostLimits
from asr_worker.audio.pcm import BYTES_PER_SECOND, SAMPLE_RATE, PcmFile
from asr_worker.in_flight.disk_quota import DiskQuota
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTask, Stage
from asr_worker.settings import WorkerSettings
from asr_worker.transcript.recording import Recording, cut

# Any of these makes a recording a long one: seconds of sound by its header, and then as decoded, of
# all channels together; bytes to fetch; processor seconds (ten minutes of Opus take 4).
LONG_SECONDS = 600.0
LONG_BYTES = 256 * 1024**2
LONG_CPU_SECONDS = 4.0
# Of the disk, for tenants that have nothing there.
_KEPT_DISK = 1 / 8
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
        self._limits = DecodeLimits(
            settings.max_duration_seconds,
            settings.max_channels,
            CostLimits(settings.decode_cpu_ratio, settings.decode_cpu_seconds),
        )
        self._store = store
        self._pool = pool
        self._stages = stages
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        self._decoders = DecoderQueue(processes)
        half = settings.work_dir_max_bytes // 2
        kept = round(half * _KEPT_DISK)
        self._room = DiskQuota(half - kept, kept_bytes=kept)
        self._long_room = DiskQuota(half - kept, kept_bytes=kept)

    async def prepare(self, task: InFlightTask) -> Recording:
        """Raises what the store, the decoder or the disk raises."""
        source = task.folder / "source"
        claimed = task.claim.task
        is_long = claimed.duration_seconds > LONG_SECONDS or claimed.bytes > LONG_BYTES
        room = self._long_room if is_long else self._room
        task.disk = await room.share(self._expected_bytes(task), claimed.tenant)
        pcm = await self._fetched_and_decoded(task, is_long=is_long)
        if pcm is None:  # there were long ones enough
            task.disk.free()
            task.disk = await self._long_room.share(self._expected_bytes(task), claimed.tenant)
            pcm = await self._fetched_and_decoded(task, is_long=True)
            assert pcm is not None
        assert task.disk is not None
        source.unlink()
        task.disk.resize(pcm.size_bytes)
        self._stages.enter(task, Stage.SEGMENT)
        options = task.claim.task.options
        recording = await asyncio.to_thread(
            cut, pcm, options, max_seconds=self._segment_max_seconds
        )
        task.total_seconds = recording.seconds
        return recording

    def _expected_bytes(self, task: InFlightTask) -> int:
        """The file as it came and its samples, of as many channels as there may be. Its duration is
        what the file claims: decoding corrects it.
        """
        claimed = task.claim.task
        lanes = 1 if claimed.options.channels == "mix" else self._limits.max_channels
        seconds = min(claimed.duration_seconds, self._limits.max_seconds)
        return claimed.bytes + round(seconds * lanes * BYTES_PER_SECOND)

    async def _fetched_and_decoded(self, task: InFlightTask, *, is_long: bool) -> PcmFile | None:
        """None if it had to leave its decoder: it is long, and others are as well."""
        claimed, source = task.claim.task, task.folder / "source"
        async with self._decoders.turn(claimed.tenant, claimed.lane, is_long=is_long) as turn:
            if not source.exists():
                async with self._downloads:
                    self._stages.enter(task, Stage.DOWNLOAD)
                    await self._store.download(task, source, lambda: self._stages.moved(task))
                self._stages.enter(task, Stage.DECODE)
            try:
                return await self._decode(task, turn)
            except TransientTaskError:
                if turn.must_yield:
                    return None
                raise

    async def _decode(self, task: InFlightTask, turn: DecoderTurn) -> PcmFile:
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

        def looked(samples_bytes: int, cpu_seconds: float) -> None:
            nonlocal seen_bytes
            if samples_bytes != seen_bytes:
                seen_bytes = samples_bytes
                self._stages.decoding(task)
            loop.call_soon_threadsafe(self._looked, task, turn, samples_bytes, cpu_seconds)

        watch = JobWatch(looked, lambda: not (abandoned.is_set() or turn.must_yield))
        future = self._pool.submit(job, watch)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # The decoder is still writing: it is stopped, and what it leaves is removed then.
            abandoned.set()
            future.add_done_callback(lambda _: _remove(task))
            raise

    def _looked(
        self, task: InFlightTask, turn: DecoderTurn, samples_bytes: int, cpu_seconds: float
    ) -> None:
        """A file that holds more than it claims takes its room while it is decoded, and its place
        among the long ones.
        """
        self._decoders.charge(turn, cpu_seconds)
        if task.disk is None or task.stage is not Stage.DECODE:
            return
        decoded_seconds = samples_bytes / (2 * SAMPLE_RATE)
        needed_bytes = task.claim.task.bytes + round(decoded_seconds * BYTES_PER_SECOND)
        task.disk.resize(max(task.disk.size_bytes, needed_bytes))
        task.total_seconds = max(task.total_seconds, decoded_seconds)
        if turn.is_long or (decoded_seconds <= LONG_SECONDS and cpu_seconds <= LONG_CPU_SECONDS):
            return
        self._decoders.turned_long(turn, has_place=not self._long_room.is_full)
        if not turn.must_yield:
            task.disk.move(self._long_room)


def _remove(task: InFlightTask) -> None:
    shutil.rmtree(task.folder, ignore_errors=True)

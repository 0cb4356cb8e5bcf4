"""Disk is reserved for what a file claims, and then for what it holds, while it is decoded."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from asr_core.errors import TransientTaskError
from asr_core.options import TaskOptions
from asr_core.queue import Claim, LeaseKeeper
from asr_core.task import Lane, State, Task
from asr_worker.attempts.preparation import LONG_CPU_SECONDS, Preparation
from asr_worker.attempts.store_access import StoreAccess
from asr_worker.audio.decode_pool import DecodePool
from asr_worker.audio.decoder_process import DecodeJob, JobWatch
from asr_worker.audio.pcm import BYTES_PER_SECOND, SAMPLE_RATE, PcmFile, PcmWriter
from asr_worker.audio.speech import EnergyDetector
from asr_worker.in_flight.stages import Stages
from asr_worker.in_flight.tasks import InFlightTask
from asr_worker.metrics import WorkerMetrics
from asr_worker.settings import WorkerSettings

pytestmark = pytest.mark.asyncio
HOUR_BYTES = 3600 * BYTES_PER_SECOND


def in_hand(folder: Path, *, claims_seconds: float) -> InFlightTask:
    task = Task(
        task_id="a", state=State.PROCESSING, pool="default", lane=Lane.NORMAL, tenant="t",
        filename="", content_type="", bytes=1000, duration_seconds=claims_seconds,
        options=TaskOptions(), created_at=0, queued_at=0,
    )  # fmt: skip
    return InFlightTask(Claim(task, "token", False), folder, claims_seconds)


class Keeper:
    """Hears of progress."""

    def progress(self, *_: object) -> None: ...

    def touch(self) -> None: ...


class Storage:
    """Has every recording."""

    async def download(self, task: InFlightTask, file: Path, _on_chunk: object) -> int:
        return file.write_bytes(bytes(1000))


class GrowingFile:
    """Decodes one file: an hour of samples comes, and the end when the test says so."""

    def __init__(self) -> None:
        self.seen = threading.Event()
        self.goes_on = threading.Event()
        self._thread = ThreadPoolExecutor(1)

    def submit(self, job: DecodeJob, watch: JobWatch) -> Future[PcmFile]:
        def decode() -> PcmFile:
            watch.on_progress(3600 * 2 * SAMPLE_RATE, 1.0)
            self.seen.set()
            assert self.goes_on.wait(30)
            with PcmWriter(job.target, 1) as writer:
                writer.write(np.zeros((1, SAMPLE_RATE), np.float32))
            return PcmFile(job.target, 1, SAMPLE_RATE, True)

        return self._thread.submit(decode)


@pytest.mark.parametrize("claims_seconds", [1.0, 1e6])
async def test_a_file_that_holds_more_or_less_than_it_claims_has_the_disk_it_needs(
    tmp_path: Path, claims_seconds: float
) -> None:
    settings = WorkerSettings(_env_file=None, store_url=tmp_path.as_uri())  # type: ignore[call-arg]
    pool = GrowingFile()
    preparation = Preparation(
        settings,
        cast("StoreAccess", Storage()),
        cast("DecodePool", pool),
        processes=1,
        stages=Stages(WorkerMetrics(CollectorRegistry()), cast("LeaseKeeper", Keeper())),
        detector=EnergyDetector(),
    )
    task = in_hand(tmp_path, claims_seconds=claims_seconds)
    preparing: asyncio.Task[Any] = asyncio.create_task(preparation.prepare(task))
    assert await asyncio.to_thread(pool.seen.wait, 30)
    await asyncio.sleep(0)  # what the decoder's thread told is heard on the loop
    assert task.disk is not None
    most_bytes = settings.max_duration_seconds * BYTES_PER_SECOND
    assert HOUR_BYTES <= task.disk.size_bytes <= 1000 + most_bytes
    assert task.total_seconds >= 3600
    pool.goes_on.set()
    await preparing
    assert task.disk.size_bytes == BYTES_PER_SECOND
    task.disk.free()
    task.disk.resize(HOUR_BYTES)  # told too late
    assert task.disk.size_bytes == 0


class LyingFiles:
    """Files that all seem short; a decoder that is busy with one tells what it costs, until it is
    no longer wanted or the test lets the file end.
    """

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.starts: list[str] = []
        self._threads = ThreadPoolExecutor(8)

    def submit(self, job: DecodeJob, watch: JobWatch) -> Future[PcmFile]:
        def decode() -> PcmFile:
            name = job.target.parent.name
            self.starts.append(name)
            while name.startswith("hostile") and not self.goes_on.is_set():
                watch.on_progress(0, LONG_CPU_SECONDS + 1)
                if not watch.wanted():
                    raise TransientTaskError("nobody waits for this file any more")
            with PcmWriter(job.target, 1) as writer:
                writer.write(np.zeros((1, SAMPLE_RATE), np.float32))
            return PcmFile(job.target, 1, SAMPLE_RATE, True)

        return self._threads.submit(decode)


async def test_files_that_turn_out_long_make_way_and_are_decoded_after_all(tmp_path: Path) -> None:
    settings = WorkerSettings(_env_file=None, store_url=tmp_path.as_uri())  # type: ignore[call-arg]
    pool = LyingFiles()
    preparation = Preparation(
        settings,
        cast("StoreAccess", Storage()),
        cast("DecodePool", pool),
        processes=2,
        stages=Stages(WorkerMetrics(CollectorRegistry()), cast("LeaseKeeper", Keeper())),
        detector=EnergyDetector(),
    )

    def prepare(name: str) -> asyncio.Task[Any]:
        folder = tmp_path / name
        folder.mkdir()
        return asyncio.create_task(preparation.prepare(in_hand(folder, claims_seconds=1.0)))

    hostile = [prepare(f"hostile {number}") for number in range(6)]
    await prepare("neighbour")
    assert not any(task.done() for task in hostile)
    pool.goes_on.set()
    await asyncio.gather(*hostile)
    # Each was begun at most twice: as what it seemed to be, and as what it is.
    assert max(Counter(pool.starts).values()) == 2

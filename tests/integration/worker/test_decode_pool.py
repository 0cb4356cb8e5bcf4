"""Decoder processes: parallel, and only ever killed by their own file."""

from __future__ import annotations

import errno
import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest

from asr_core.errors import AudioTooLong, DecoderCrashed, TransientTaskError, UnreadableAudio
from asr_worker.audio.decode_pool import DecodePool
from asr_worker.audio.decoder import DecodeLimits
from asr_worker.audio.decoder_process import DecodeJob, JobWatch


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    opened = DecodePool(2, stall_seconds=60)
    yield opened
    opened.close()


@pytest.fixture
def recording(tmp_path: Path, encode: Callable[..., bytes]) -> Path:
    path = tmp_path / "source.flac"
    samples = np.random.default_rng(0).normal(0, 0.1, (2, 80_000)).astype(np.float32)
    path.write_bytes(encode(samples, 16000, "flac", "flac"))
    return path


def test_files_are_decoded_in_processes_of_their_own(
    pool: DecodePool, recording: Path, tmp_path: Path
) -> None:
    jobs = [DecodeJob(recording, tmp_path / f"{n}.pcm", "split") for n in range(6)]
    decoded = [pool.submit(job).result() for job in jobs]
    assert [pcm.path for pcm in decoded] == [job.target for job in jobs]
    assert {pcm.sample_count for pcm in decoded} == {80_000}
    assert {pcm.channels for pcm in decoded} == {2}


def test_what_decoding_raises_comes_back_and_leaves_no_file(
    pool: DecodePool, recording: Path, tmp_path: Path
) -> None:
    text = tmp_path / "a.txt"
    text.write_text("no audio")
    target = tmp_path / "x.pcm"
    with pytest.raises(UnreadableAudio):
        pool.submit(DecodeJob(text, target)).result()
    with pytest.raises(AudioTooLong, match="2 s"):
        pool.submit(DecodeJob(recording, target, limits=DecodeLimits(max_seconds=2))).result()
    assert not list(tmp_path.glob("x.pcm*"))
    assert pool.submit(DecodeJob(recording, target)).result().sample_count == 80_000


def test_a_decoder_that_dies_takes_only_its_own_file_with_it(
    recording: Path, tmp_path: Path
) -> None:
    pool = DecodePool(2, stall_seconds=60)
    try:
        # A named pipe that nobody writes to holds a decoder for as long as the test needs.
        stuck = tmp_path / "stuck"
        os.mkfifo(stuck)
        poison = pool.submit(DecodeJob(stuck, tmp_path / "poison.pcm"))
        others = [pool.submit(DecodeJob(recording, tmp_path / f"{n}.pcm")) for n in range(5)]
        assert not wait(others, timeout=120).not_done
        assert not poison.done()
        _until(lambda: bool(pool.process_ids(busy=True)))
        (victim,) = pool.process_ids(busy=True)
        os.kill(victim, signal.SIGSEGV)
        with pytest.raises(DecoderCrashed, match="SIGSEGV"):
            poison.result(timeout=60)
        assert {future.result().sample_count for future in others} == {80_000}
        after = [pool.submit(DecodeJob(recording, tmp_path / f"after{n}.pcm")) for n in range(4)]
        assert {future.result(timeout=120).sample_count for future in after} == {80_000}
    finally:
        pool.close()


def test_a_decoder_that_hangs_is_killed(recording: Path, tmp_path: Path) -> None:
    pool = DecodePool(1, stall_seconds=20)
    try:
        pool.submit(DecodeJob(recording, tmp_path / "warm.pcm")).result()
    finally:
        pool.close()
    pool = DecodePool(1, stall_seconds=0.5)
    try:
        stuck = tmp_path / "stuck"
        os.mkfifo(stuck)
        with pytest.raises(DecoderCrashed, match=r"no progress for 0\.5 s"):
            pool.submit(DecodeJob(stuck, tmp_path / "x.pcm")).result(timeout=60)
    finally:
        pool.close()


def test_a_process_is_replaced_after_its_share_of_files(recording: Path, tmp_path: Path) -> None:
    pool = DecodePool(1, jobs_per_process=2)
    try:
        served_by = []
        for number in range(5):
            pool.submit(DecodeJob(recording, tmp_path / f"{number}.pcm")).result()
            served_by += pool.process_ids()
        assert [served_by.count(process) for process in dict.fromkeys(served_by)] == [2, 2, 1]
    finally:
        pool.close()


def test_closing_ends_a_job_that_is_stuck(tmp_path: Path) -> None:
    pool = DecodePool(1, stall_seconds=600)
    stuck = tmp_path / "stuck"
    os.mkfifo(stuck)
    running = pool.submit(DecodeJob(stuck, tmp_path / "x.pcm"))
    pool.close()
    assert running.done()


def test_warm_decoders_are_there_before_the_first_file(recording: Path, tmp_path: Path) -> None:
    pool = DecodePool(2)
    try:
        pool.warm_up()
        _until(lambda: len(pool.process_ids()) == 2)
        warm = pool.process_ids()
        pool.submit(DecodeJob(recording, tmp_path / "a.pcm")).result()
        assert pool.process_ids() == warm
    finally:
        pool.close()


def test_a_decoder_that_died_between_two_files_is_not_held_against_the_second(
    recording: Path, tmp_path: Path
) -> None:
    pool = DecodePool(1)
    try:
        pool.submit(DecodeJob(recording, tmp_path / "a.pcm")).result()
        (idle,) = pool.process_ids(busy=False)
        os.kill(idle, signal.SIGKILL)
        assert pool.submit(DecodeJob(recording, tmp_path / "b.pcm")).result().sample_count == 80_000
        assert idle not in pool.process_ids()
    finally:
        pool.close()


def test_a_long_file_may_take_its_time_as_long_as_samples_come(tmp_path: Path) -> None:
    """Ten seconds arrive one by one, half a second apart; only a silence of 1.5 s is a stall."""
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2,
        16, b"data", 0xFFFFFFFF,
    )  # fmt: skip
    slow = tmp_path / "slow"
    os.mkfifo(slow)
    grown: list[int] = []
    pool = DecodePool(1, stall_seconds=1.5)
    try:
        watch = JobWatch(on_progress=lambda size, _: grown.append(size))
        decoding = pool.submit(DecodeJob(slow, tmp_path / "x.pcm"), watch)
        with slow.open("wb", buffering=0) as writer:
            writer.write(header)
            for _ in range(8):
                # A decoder reads 256 KiB at a time.
                writer.write(bytes(262_144))
                time.sleep(0.5)
        seconds = decoding.result(timeout=60).duration_seconds
        assert seconds == pytest.approx(8 * 262_144 / 32_000, abs=0.1)
        assert len(set(grown)) >= 3
        assert grown == sorted(grown)
    finally:
        pool.close()


def test_a_file_nobody_waits_for_is_dropped_in_the_middle(tmp_path: Path) -> None:
    stuck = tmp_path / "stuck"
    os.mkfifo(stuck)
    pool = DecodePool(1)
    try:
        wanted = threading.Event()
        wanted.set()
        running = pool.submit(DecodeJob(stuck, tmp_path / "x.pcm"), JobWatch(wanted=wanted.is_set))
        _until(lambda: bool(pool.process_ids(busy=True)))
        wanted.clear()
        with pytest.raises(TransientTaskError, match="nobody waits"):
            running.result(timeout=20)
    finally:
        pool.close()


def test_a_full_disk_is_told_as_such(recording: Path, tmp_path: Path) -> None:
    """/dev/full takes no byte."""
    (tmp_path / "x.pcm").symlink_to("/dev/full")
    pool = DecodePool(1)
    try:
        with pytest.raises(OSError, match="No space left") as raised:
            pool.submit(DecodeJob(recording, tmp_path / "x.pcm")).result()
        assert raised.value.errno == errno.ENOSPC
    finally:
        pool.close()


def test_deaths_of_decoders_leave_neither_files_nor_threads_nor_processes(
    recording: Path, tmp_path: Path
) -> None:
    deaths = int(os.environ.get("DECODER_DEATHS", "12"))
    pool = DecodePool(2)
    try:
        _kill_busy(pool, tmp_path, 4)
        before = _footprint()
        _kill_busy(pool, tmp_path, deaths)
        assert _footprint() == before
        assert pool.submit(DecodeJob(recording, tmp_path / "a.pcm")).result().sample_count == 80_000
    finally:
        pool.close()


def _kill_busy(pool: DecodePool, folder: Path, times: int) -> None:
    stuck = folder / "stuck"
    if not stuck.exists():
        os.mkfifo(stuck)
    for _ in range(times):
        running = pool.submit(DecodeJob(stuck, folder / "x.pcm"))
        _until(lambda: bool(pool.process_ids(busy=True)))
        for pid in pool.process_ids(busy=True):
            os.kill(pid, signal.SIGSEGV)
        with pytest.raises(DecoderCrashed):
            running.result(timeout=60)


def _footprint() -> tuple[int, int, int]:
    """Open files, threads and child processes of this process."""
    children = Path("/proc/self/task").glob("*/children")
    return (
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        sum(len(path.read_text().split()) for path in children),
    )


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)

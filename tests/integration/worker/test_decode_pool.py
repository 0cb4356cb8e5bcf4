"""Decoder processes: parallel, and only ever killed by their own file."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest

from asr_core.errors import AudioTooLong, DecoderCrashed, UnreadableAudio
from asr_worker.audio import DecodeLimits
from asr_worker.decode_pool import DecodeJob, DecodePool


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    opened = DecodePool(2, timeout_seconds=60)
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
    assert {pcm.lanes for pcm in decoded} == {2}


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
    pool = DecodePool(2, timeout_seconds=60)
    try:
        # A named pipe that nobody writes to holds a decoder for as long as the test needs.
        stuck = tmp_path / "stuck"
        os.mkfifo(stuck)
        poison = pool.submit(DecodeJob(stuck, tmp_path / "poison.pcm"))
        others = [pool.submit(DecodeJob(recording, tmp_path / f"{n}.pcm")) for n in range(5)]
        assert not wait(others, timeout=120).not_done
        assert not poison.done()
        (victim,) = pool.busy_processes()
        os.kill(victim, signal.SIGSEGV)
        with pytest.raises(DecoderCrashed, match="SIGSEGV"):
            poison.result(timeout=60)
        assert {future.result().sample_count for future in others} == {80_000}
        after = [pool.submit(DecodeJob(recording, tmp_path / f"after{n}.pcm")) for n in range(4)]
        assert {future.result(timeout=120).sample_count for future in after} == {80_000}
    finally:
        pool.close()


def test_a_decoder_that_hangs_is_killed(recording: Path, tmp_path: Path) -> None:
    pool = DecodePool(1, timeout_seconds=20)
    try:
        pool.submit(DecodeJob(recording, tmp_path / "warm.pcm")).result()
    finally:
        pool.close()
    pool = DecodePool(1, timeout_seconds=0.5)
    try:
        stuck = tmp_path / "stuck"
        os.mkfifo(stuck)
        with pytest.raises(DecoderCrashed, match=r"longer than 0\.5 s"):
            pool.submit(DecodeJob(stuck, tmp_path / "x.pcm")).result(timeout=60)
    finally:
        pool.close()


def test_a_process_is_replaced_after_its_share_of_files(recording: Path, tmp_path: Path) -> None:
    pool = DecodePool(1, jobs_per_process=2)
    try:
        for number in range(5):
            pool.submit(DecodeJob(recording, tmp_path / f"{number}.pcm")).result()
        assert pool.processes_started == 3
    finally:
        pool.close()


def test_closing_ends_a_job_that_is_stuck(tmp_path: Path) -> None:
    pool = DecodePool(1, timeout_seconds=600)
    stuck = tmp_path / "stuck"
    os.mkfifo(stuck)
    running = pool.submit(DecodeJob(stuck, tmp_path / "x.pcm"))
    pool.close()
    assert running.done()

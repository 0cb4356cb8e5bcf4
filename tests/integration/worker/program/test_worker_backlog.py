"""However much is queued: a worker holds no more in its hand, its memory and its disk."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import uuid_utils

from asr_core.task import NewTask, State, audio_path

pytestmark = pytest.mark.asyncio
MIB = 1024**2
IN_HAND = 24


async def test_ten_thousand_queued_tasks_are_no_more_to_a_worker_than_a_hundred(
    platform: Any, level: Any
) -> None:
    worker = platform.toy(max_tasks_in_hand=IN_HAND, lease_seconds=60.0)
    few = await _submit_many(platform, level(0.3), 100)
    for task_id in few:
        await platform.done(task_id)
    rss_bytes = _rss_bytes(worker.pid)
    await _submit_many(platform, level(0.3), 10_000)
    most_in_hand = most_folders = 0
    with platform.raw() as raw:
        done = int(raw.hget("asr:totals", "completed"))
        async with asyncio.timeout(60):
            while int(raw.hget("asr:totals", "completed")) < done + 300:
                most_in_hand = max(most_in_hand, raw.zcard("asr:leases:default:normal"))
                most_folders = max(most_folders, len(_task_folders(platform)))
                await asyncio.sleep(0.02)
        assert raw.zcard("asr:waiting:default:normal") > 5000
    assert 1 < most_in_hand <= IN_HAND
    # Of the last ones that were done the folders may just be on their way out.
    assert most_folders <= 2 * IN_HAND
    assert _rss_bytes(worker.pid) - rss_bytes < 16 * MIB


async def test_decoded_audio_stays_within_its_part_of_the_disk(platform: Any, level: Any) -> None:
    """Five minutes are 9.6 MB as they come and 9.7 MB decoded; half of 70 MB is for short files,
    an eighth of that for tenants that have none yet.
    """
    recording = level(0.5, seconds=300.0)
    ids = [await platform.submit(recording) for _ in range(6)]
    worker = platform.toy(
        faults={"0.5": "gate"}, batch_size=1000.0, work_dir_max_bytes=70 * 10**6, lease_seconds=60.0
    )
    with platform.raw() as raw:
        async with asyncio.timeout(60):
            # All are in hand, two are decoded, the others wait for room.
            while len(list((platform.folder / "work").glob("*/*/pcm"))) < 2 or (
                raw.zcard("asr:leases:default:normal") < len(ids)
            ):
                assert _bytes_below(platform.folder / "work") <= 35 * 10**6
                await asyncio.sleep(0.02)

    async def is_bounded() -> bool:
        return _bytes_below(platform.folder / "work") <= 35 * 10**6

    await platform.stays(is_bounded, seconds=0.5)
    (platform.folder / "gate").touch()
    for task_id in ids:
        await platform.done(task_id)
    worker.terminate()
    assert await worker.ended() == 0
    assert list((platform.folder / "work").iterdir()) == []


async def _submit_many(platform: Any, recording: bytes, count: int) -> list[str]:
    """Through the real queue; in the store each is a link to the first."""
    first = await platform.submit(recording)
    file = platform.folder / "store" / audio_path(first)
    ids = [str(uuid_utils.uuid7()) for _ in range(count - 1)]
    turns = asyncio.Semaphore(32)

    async def submit(task_id: str) -> None:
        os.link(file, file.with_name(task_id))
        new = NewTask(task_id=task_id, bytes=len(recording), duration_seconds=1.0)
        async with turns:
            await platform.producer.submit(new)

    await asyncio.gather(*(submit(task_id) for task_id in ids))
    assert (await platform.producer.get(ids[-1])).state is not State.FAILED
    return [first, *ids]


def _task_folders(platform: Any) -> list[Path]:
    return [path for path in (platform.folder / "work").glob("*/*") if path.name != "lock"]


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _rss_bytes(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")

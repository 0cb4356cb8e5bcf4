"""Files that weigh nothing and cost much: their tenant pays, its neighbours do not wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from asr_core.task import Lane, State
from fuzz.hostile import flac_of_constants

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def costly() -> bytes:
    """Half a megabyte that says it lasts a second: more than a quarter of a minute to decode."""
    return flac_of_constants(384_000, 8, 1500.0)


async def test_a_neighbours_interactive_recording_ends_before_hostile_ones_however_many(
    platform: Any, level: Any, costly: bytes
) -> None:
    hostile = [
        await platform.submit(
            costly,
            tenant="hostile",
            lane=Lane.INTERACTIVE,
            duration_seconds=1.0,
            options={"channels": "mix" if number % 3 else "split"},
        )
        for number in range(140)
    ]
    platform.toy(lease_seconds=60.0)
    # The worker has as much in hand as it takes, and its decoders are busy with it.
    await platform.until(hostile[110], State.PROCESSING)
    await _decoding(platform)
    late = await platform.submit(
        level(0.3, 12.0), tenant="neighbour", lane=Lane.INTERACTIVE, duration_seconds=12.0
    )
    await platform.done(late, seconds=240)
    states = {(await platform.producer.get(task_id)).state for task_id in hostile}
    assert states <= {State.QUEUED, State.PROCESSING}


async def test_a_file_that_costs_more_than_is_allowed_fails_once_and_is_told_so(
    platform: Any, level: Any, costly: bytes
) -> None:
    hostile = await platform.submit(costly, duration_seconds=1.0, options={"channels": "split"})
    stuck = await platform.submit(b"POISON" + bytes(1000), duration_seconds=1.0)
    neighbour = await platform.submit(level(0.3))
    platform.toy(faults={"POISON": "burn"}, lease_seconds=60.0, decode_cpu_seconds=1.0)
    for task_id in (hostile, stuck):
        task = await platform.until(task_id, State.FAILED, seconds=120)
        assert (task.error.code, task.attempt) == ("too_expensive", 1)
        assert "processor time" in task.error.message
        assert (task.transient_failures, task.crashes) == (0, 0)
    assert (await platform.done(neighbour)).text == "level 0.3"


async def test_decoders_have_no_secret_in_their_environment(
    platform: Any, level: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "REDIS_SENTINEL_PASSWORD": "hunter-sentinel",
        "ASR_WEBHOOK_SECRET": "whsec_hunter",
        "ASR_BOOTSTRAP_KEY": "asr_hunter",
        "AWS_SECRET_ACCESS_KEY": "hunter-aws",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    task_id = await platform.submit(level(0.3))
    worker = platform.toy()
    await platform.done(task_id)
    assert "hunter" in _environ(worker.pid)
    children = worker.children()
    assert len(children) == 2  # one decoder as configured, and the one that is kept
    for child in children:
        environ = _environ(child)
        assert "PATH=" in environ
        assert "hunter" not in environ
        names = [line.partition("=")[0] for line in environ.split("\0")]
        assert not [name for name in names if name.startswith(("ASR_", "REDIS_", "AWS_"))]


def _environ(process_id: int) -> str:
    return Path(f"/proc/{process_id}/environ").read_text()


async def _decoding(platform: Any) -> None:
    async with asyncio.timeout(60):
        while not list((platform.folder / "work").glob("*/*/pcm")):
            await asyncio.sleep(0.02)

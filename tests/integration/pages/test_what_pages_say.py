"""What the pages announce: how long audio is kept, and that a worker takes no work."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from playwright.sync_api import expect

from asr_core.queue import Consumer, RedisConnection, WorkerRecord
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings

HOUR, DAY = 3600, 86_400
KEPT = "Audio is kept for an hour, and of the 10 newest recordings for longer."
PROBLEM = "the disk of /work is full: 4 MiB free, 32 MiB needed"


def keep_no_audio(stack: Any) -> None:
    """A pass of retention."""
    place = {
        "REDIS_PORT": str(stack.redis_port),
        "ASR_STORE_URL": (stack.folder / "store").as_uri(),
    }
    command = [sys.executable, "-m", "asr_cli", "retention", "--max-recordings", "0"]
    subprocess.run(command, cwd=stack.folder, env={**os.environ, **place}, check=True)


def test_the_page_says_beforehand_how_long_audio_is_kept(open_page: Any) -> None:
    page = open_page("/")
    expect(page.locator("#kept")).to_have_text(f"{KEPT} Transcripts are kept for 7 days.")


@pytest.mark.parametrize(
    ("most", "least", "longest", "results", "said"),
    [
        (10, HOUR, None, None, KEPT),
        (0, 0, None, None, "Audio is deleted once it has been transcribed."),
        (None, HOUR, None, None, "Audio is kept as long as its transcript."),
        (None, HOUR, 2 * DAY, None, "Audio is kept for 2 days."),
        (1, 0, None, None, "Audio is kept of the newest recording."),
        (
            *(5, 90, DAY, 12 * HOUR),
            "Audio is kept for 1.5 minutes, and of the 5 newest recordings for longer and for a "
            "day at most. Transcripts are kept for 12 hours.",
        ),
    ],
)
def test_the_words_for_how_long(
    open_page: Any, most: Any, least: Any, longest: Any, results: Any, said: str
) -> None:
    retention = {
        "max_recordings": most,
        "recordings_min_age_seconds": least,
        "recordings_max_age_seconds": longest,
        "results_max_age_seconds": results,
    }
    page = open_page("/")
    asked = "async (told) => (await import(new URL('assets/kept.js', location))).kept(told)"
    assert page.evaluate(asked, retention) == said


def test_a_recording_whose_audio_is_deleted_has_no_player(
    open_page: Any, stack: Any, demo: Any
) -> None:
    page = open_page("/")
    payload: Any = {"name": "gone.wav", "mimeType": "audio/wav", "buffer": demo.read_bytes()}
    page.set_input_files("#files", payload)
    player, told = page.locator("audio"), page.locator("#audio-problem")
    expect(page.locator(".word").first).to_be_visible()
    expect(player).to_be_visible()
    keep_no_audio(stack)
    # As a part of a long recording that the browser has not got yet.
    page.evaluate("document.querySelector('audio').src += '?part'")
    expect(told).to_have_text("The audio has been deleted; the transcript is kept.")
    expect(player).to_be_hidden()
    expect(page.locator("#keys")).to_be_hidden()
    page.reload()
    expect(page.locator(".word").first).to_be_visible()
    expect(player).to_be_hidden()
    expect(told).to_have_text("The audio has been deleted; the transcript is kept.")


def test_the_dashboard_names_the_worker_that_takes_no_work(open_page: Any, stack: Any) -> None:
    async def beat(*, leaves: bool) -> None:
        settings = QueueSettings(_env_file=None)
        place: Any = {"REDIS_PORT": stack.redis_port}
        connection = RedisConnection(RedisSettings(_env_file=None, **place))
        consumer = Consumer(connection, settings, pool="default", name="worker-9")
        await consumer.prepare()
        record = WorkerRecord(
            consumer=consumer.name, worker=consumer.worker, pool="default", slots=4, busy=0,
            in_flight_seconds=0, throughput=0, startup_seconds=1, model="embedded", engine="e",
            device="cpu", version="0", tasks_done=0, started_at=0, problem=PROBLEM,
        )  # fmt: skip
        await (consumer.leave() if leaves else consumer.beat(record))
        await connection.close()

    def run(*, leaves: bool) -> None:  # Playwright's own loop runs in this thread
        worker = threading.Thread(target=lambda: asyncio.run(beat(leaves=leaves)))
        worker.start()
        worker.join()

    page = open_page("/dashboard")
    run(leaves=False)
    try:
        expect(page.locator("#notice")).to_contain_text(f"worker-9 takes no work: {PROBLEM}.")
        expect(page.locator("#workers tr", has_text="worker-9")).to_contain_text("takes no work")
        expect(page.locator(".tile.bad", has_text="Workers")).to_contain_text("1 take no work")
        dead_letters = page.locator(".tile", has_text="Dead letters")
        expect(dead_letters).to_contain_text("failed after repeated errors or crashes")
    finally:
        run(leaves=True)

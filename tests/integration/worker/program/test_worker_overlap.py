"""The engine waits for nobody: while the texts of one batch are read, the next one runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from asr_core.task import State
from asr_worker.engines.base import PendingTexts, SegmentAudio, SegmentText
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.inference.batch_runner import MOST_RUNS

pytestmark = pytest.mark.asyncio


class Readings:
    """Sees how many batches are begun and not read; what it is told happens before each reading."""

    def __init__(self) -> None:
        self.before: list[Any] = []
        self.begun = 0
        self.second = threading.Event()
        self.most_unread = 0
        self._read = 0
        self._lock = threading.Lock()

    def watch(self, batch: Sequence[SegmentAudio], texts: PendingTexts) -> PendingTexts:
        with self._lock:
            self.begun += 1
            self.most_unread = max(self.most_unread, self.begun - self._read)
        if self.begun == 2:
            self.second.set()

        def read() -> list[SegmentText]:
            if self.before:
                self.before.pop(0)()
            said = texts()
            with self._lock:
                self._read += 1
            return said

        return read


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    seen, submit = Readings(), SenseVoiceEngine.submit

    def watched(self: SenseVoiceEngine, batch: Sequence[SegmentAudio]) -> PendingTexts:
        texts = submit(self, batch)
        is_warm_up = not any(segment.pcm.any() for segment in batch)
        return texts if is_warm_up else seen.watch(batch, texts)

    monkeypatch.setattr(SenseVoiceEngine, "submit", watched)
    return seen


async def test_the_next_batch_begins_before_the_texts_of_the_last_one_are_read(
    platform: Any, long_wav: bytes, readings: Readings
) -> None:
    overlapped: list[bool] = []
    readings.before = [lambda: overlapped.append(readings.second.wait(60))]
    async with platform.worker(batch_size=20):
        result = await platform.done(await platform.submit(long_wav))
    assert overlapped == [True]
    assert readings.begun >= 5
    assert readings.most_unread == MOST_RUNS
    starts = [segment.start_seconds for segment in result.segments]
    assert starts == sorted(starts)
    assert result.text == " ".join(segment.text for segment in result.segments)


async def test_texts_that_cannot_be_read_fail_their_task_and_the_worker_goes_on(
    platform: Any, demo: Any, wav: Any, readings: Readings
) -> None:
    def broken() -> None:
        raise ValueError("a token of no vocabulary")

    readings.before = [broken]
    async with platform.worker(retry_limit=0):
        task = await platform.until(await platform.submit(wav(demo)), State.FAILED)
        assert task.error.code == "engine_failed"
        assert (await platform.done(await platform.submit(wav(demo)))).text

"""Tasks in, transcripts out: many at once, in shared batches."""

from __future__ import annotations

import asyncio
import io
import re
import socket
import urllib.request
from typing import Any

import av
import numpy as np
import pytest

from asr_core.keys import Keys
from asr_core.task import Lane, State
from asr_worker.in_flight.tasks import Stage

pytestmark = pytest.mark.asyncio


async def test_many_tasks_complete_in_shared_batches_with_the_text_of_each(
    platform: Any, demo: Any, spoken: str, wav: Any, engine_spy: Any
) -> None:
    half = demo[:, : demo.shape[1] // 2]
    ids = [await platform.submit(wav(sound)) for sound in [demo, half] * 8]
    async with platform.worker():
        results = [await platform.done(task_id) for task_id in ids]
    words = spoken.split()
    for whole, start in zip(results[::2], results[1::2], strict=True):
        assert sum(word in words for word in whole.text.split()) > len(words) * 0.8
        assert 0 < len(start.text) < len(whole.text)
        assert whole.duration_seconds == pytest.approx(demo.shape[1] / 16_000, abs=0.01)
        assert (whole.model, whole.engine, whole.device) == ("embedded", "sensevoice", "cpu")
    assert len({whole.text for whole in results[::2]}) == 1
    # One segment per task: a batch of several is a batch of several tasks.
    assert max(len(batch) for batch in engine_spy.batches) > 1
    assert sum(len(batch) for batch in engine_spy.batches) == len(ids)


async def test_split_channels_are_transcribed_apart(platform: Any, demo: Any, wav: Any) -> None:
    silence = np.full((1, 16_000), 1e-3, np.float32)
    first = np.concatenate([demo, silence], axis=1)
    second = np.concatenate([silence, demo], axis=1)
    stereo = await platform.submit(
        wav(np.concatenate([first, second])), options={"channels": "split"}
    )
    async with platform.worker():
        result = await platform.done(stereo)
    left, right = ([s for s in result.segments if s.channel == n] for n in (0, 1))
    assert left
    assert right
    assert len(left) + len(right) == len(result.segments)
    shared = set(left[0].text.split()) & set(right[0].text.split())
    assert len(shared) > 10


async def test_what_is_no_speech_completes_without_a_word_and_without_the_engine(
    platform: Any, wav: Any, engine_spy: Any
) -> None:
    seconds = np.arange(20 * 16_000) / 16_000
    hum = sum(0.1 * np.sin(2 * np.pi * 50 * n * seconds) / n for n in range(1, 12))
    noise = np.random.default_rng(3).normal(0, 0.1, len(seconds))
    sounds = [np.zeros(len(seconds)), hum, noise, hum + noise / 10]
    ids = [await platform.submit(wav(each[None].astype(np.float32))) for each in sounds]
    async with platform.worker():
        results = [await platform.done(task_id) for task_id in ids]
    for result in results:
        assert (result.text, result.segments, result.language) == ("", (), None)
        assert (result.duration_seconds, result.speech_seconds) == (20.0, 0.0)
    assert engine_spy.batches == []


async def test_times_stay_those_of_the_recording_when_a_minute_of_noise_is_dropped(
    platform: Any, demo: Any, wav: Any, engine_spy: Any
) -> None:
    noise = np.random.default_rng(4).normal(0, 3e-3, (1, 30 * 16_000)).astype(np.float32)
    ids = [
        await platform.submit(wav(sound))
        for sound in (demo, np.concatenate([noise, demo, noise], axis=1))
    ]
    async with platform.worker():
        alone, within = [await platform.done(task_id) for task_id in ids]
    seconds = demo.shape[1] / 16_000
    heard = sum(segment.seconds for batch in engine_spy.batches for segment in batch)
    assert heard < 2 * seconds + 4
    assert within.speech_seconds == pytest.approx(alone.speech_seconds, abs=0.3)
    starts = [
        [word.start_seconds for segment in result.segments for word in segment.words]
        for result in (alone, within)
    ]
    assert starts[1][0] == pytest.approx(starts[0][0] + 30, abs=0.3)
    assert starts[1][-1] == pytest.approx(starts[0][-1] + 30, abs=0.3)


async def test_the_track_that_was_asked_for_is_transcribed(platform: Any, demo: Any) -> None:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        streams = [output.add_stream("aac", rate=16_000, layout="mono") for _ in range(2)]
        for stream, sound in zip(streams, (np.zeros_like(demo), demo), strict=True):
            frame = av.AudioFrame.from_ndarray(sound, "fltp", "mono")
            frame.sample_rate, frame.pts = 16_000, 0
            shaper = av.AudioResampler("fltp", "mono", 16_000, 1024)
            for part in [*shaper.resample(frame), *shaper.resample(None), None]:
                output.mux(stream.encode(part))
    silent = await platform.submit(target.getvalue(), options={"track": 1})
    spoken = await platform.submit(target.getvalue(), options={"track": 2})
    async with platform.worker():
        assert (await platform.done(silent)).text == ""
        assert len((await platform.done(spoken)).text.split()) > 20


async def test_a_long_recording_is_cut_reports_progress_and_leaves_nothing_on_the_disk(
    platform: Any, long_wav: bytes, engine_spy: Any
) -> None:
    engine_spy.hold(after=2)
    async with platform.worker(batch_size=20):
        task_id = await platform.submit(long_wav)
        task = await platform.progressing(task_id)
        engine_spy.released.set()
        result = await platform.done(task_id)
        assert 0 < task.progress < 1
        starts = [segment.start_seconds for segment in result.segments]
        assert starts == sorted(starts)
        assert len(starts) >= 5
        assert result.segments[-1].end_seconds <= result.duration_seconds
    assert list((platform.folder / "work").iterdir()) == []


async def test_a_short_request_overtakes_a_long_recording_that_came_first(
    platform: Any, demo: Any, wav: Any, long_wav: bytes, engine_spy: Any
) -> None:
    engine_spy.hold(after=2)
    long = await platform.submit(long_wav, lane=Lane.BATCH)
    async with platform.worker(batch_size=20):
        await platform.progressing(long)
        short = await platform.submit(wav(demo), lane=Lane.INTERACTIVE)
        await platform.decoded(short)
        engine_spy.released.set()
        await platform.done(short)
        assert (await platform.producer.get(long)).state is State.PROCESSING
        await platform.done(long)


async def test_a_task_that_must_run_alone_shares_neither_batch_nor_time(
    platform: Any, demo: Any, wav: Any, engine_spy: Any
) -> None:
    loud = demo * 0.5
    alone = await platform.submit(wav(loud))
    with platform.raw() as raw:
        raw.hset(Keys().task(alone), "crashes", 2)
    others = [await platform.submit(wav(demo)) for _ in range(6)]
    async with platform.worker():
        for task_id in [alone, *others]:
            await platform.done(task_id)
    peak = np.abs(loud).max()
    solo = [b for b in engine_spy.batches if any(np.abs(s.pcm).max() <= peak * 1.01 for s in b)]
    assert [len(batch) for batch in solo] == [1]


async def test_a_worker_says_who_it_is_and_takes_its_record_away(platform: Any) -> None:
    async with platform.worker():
        async with asyncio.timeout(60):
            while not (records := await platform.reader.workers()):
                await asyncio.sleep(0.05)
        [record] = records
        assert (record.worker, record.model, record.device) == ("worker", "embedded", "cpu")
        assert record.startup_seconds > 0
    assert await platform.reader.workers() == []


async def test_every_stage_shows_in_the_metrics(platform: Any, demo: Any, wav: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    task_id = await platform.submit(wav(demo))
    async with platform.worker(metrics_port=port):
        await platform.done(task_id)
        text = await asyncio.to_thread(_scrape, port)
    stages = set(re.findall(r'asr_stage_duration_seconds_count{stage="(\w+)"} [1-9]', text))
    assert stages == {stage.value for stage in Stage}
    assert 'asr_tasks_finished_total{state="completed"} 1.0' in text


def _scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        return bytes(reply.read()).decode()

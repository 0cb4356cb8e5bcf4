"""A worker with Whisper base: people's recordings in, transcripts out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.asyncio


async def test_people_are_transcribed_in_shared_batches_with_whispers_measures(
    platform: Any, whisper_folder: Path, recording: Any, wav: Any
) -> None:
    english, chinese = recording("jfk.en.flac"), recording("asr_example.zh.mp3")
    pause = np.zeros(len(english) - len(chinese), np.float32)
    both = np.stack([english, np.concatenate([chinese, pause])])
    plain = await platform.submit(wav(english[None]))
    channels = await platform.submit(wav(both), options={"channels": "split"})
    silent = await platform.submit(wav(np.full((1, 32_000), 1e-3, np.float32)))
    options = {"task": "translate", "language": "zh", "speakers": True}
    translated = await platform.submit(wav(chinese[None]), options=options)
    async with platform.worker(model=str(whisper_folder)):
        results = [
            await platform.done(task_id, seconds=300)
            for task_id in (plain, channels, silent, translated)
        ]
    heard, split, nothing, english_text = results
    assert (heard.engine, heard.model, heard.language) == ("whisper", str(whisper_folder), "en")
    assert "ask not what your country can do for you" in heard.text
    (segment,) = heard.segments
    assert segment.avg_logprob is not None
    assert -0.5 < segment.avg_logprob < 0
    assert segment.no_speech_prob is not None
    assert segment.compression_ratio is not None
    assert segment.temperature == 0
    assert "".join(word.text for word in segment.words) == segment.text.replace(" ", "")
    by_channel = {each.channel: each for each in split.segments}
    assert {number: each.language for number, each in by_channel.items()} == {0: "en", 1: "zh"}
    assert by_channel[0].text == heard.text
    assert (nothing.text, nothing.segments) == ("", ())
    assert "welcome" in english_text.text.lower()
    assert english_text.options_ignored == ("speakers",)

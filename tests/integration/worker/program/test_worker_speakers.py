"""Who said what, from a recording to its result."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest

from asr_core.render import ResultFormat, render

pytestmark = pytest.mark.asyncio


async def test_two_people_in_turn_are_told_apart(platform: Any, two_voices: Any, wav: Any) -> None:
    first, second = two_voices.first, two_voices.second
    talk = wav(np.concatenate([first, second, first, second])[None])
    asked = await platform.submit(talk, options={"speakers": True})
    not_asked = await platform.submit(talk)
    async with platform.worker(speaker_model=str(two_voices.folder)):
        told, plain = await platform.done(asked), await platform.done(not_asked)
    turns = [(who, list(said)) for who, said in groupby(told.segments, key=lambda s: s.speaker)]
    assert [who for who, _ in turns] == ["A", "B", "A", "B"]
    changes = np.cumsum([len(first), len(second), len(first)]) / 16_000
    for (_, said), change in zip(turns[1:], changes, strict=True):
        assert said[0].start_seconds == pytest.approx(change, abs=1.5)
    assert told.text == plain.text
    assert [segment.speaker for segment in plain.segments] == [None] * len(plain.segments)
    assert render(told, ResultFormat.TEXT).startswith("[speaker A] ")
    assert "<v Speaker B>" in render(told, ResultFormat.VTT)

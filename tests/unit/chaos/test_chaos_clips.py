from __future__ import annotations

import io
import random
import wave

import pytest

from asr_cli.local.demo import find_demo
from chaos.clients import draw_order
from chaos.clips import WORKER_MAX_SECONDS, Clip, make_clips


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    demo = find_demo()
    assert demo is not None
    return make_clips(demo.audio, count=20)


def seconds(clip: Clip) -> float:
    with wave.open(io.BytesIO(clip.data)) as file:
        return file.getnframes() / file.getframerate()


def test_there_are_as_many_different_short_clips_as_asked_for(clips: list[Clip]) -> None:
    short = [clip for clip in clips if not clip.doomed and not clip.long]
    assert len({clip.data for clip in short}) == len(short) == 20
    assert all(0.5 <= seconds(clip) <= 4.0 for clip in short)
    assert len({clip.name for clip in clips}) == len(clips)


def test_a_few_are_longer_than_a_batch_can_hide_and_a_few_must_fail(clips: list[Clip]) -> None:
    assert all(40 < seconds(clip) < 90 for clip in clips if clip.long)
    doomed = [clip for clip in clips if clip.doomed]
    assert len(doomed) == 2
    assert all(seconds(clip) > WORKER_MAX_SECONDS for clip in doomed)


def test_an_order_depends_on_seed_and_number_alone(clips: list[Clip]) -> None:
    first = [draw_order(4, number, clips) for number in range(50)]
    random.seed(1)
    again = [draw_order(4, number, clips) for number in range(50)]
    told = [(o.key, o.clip, o.lane, o.twice, o.delete_after_seconds) for o in first]
    assert told == [(o.key, o.clip, o.lane, o.twice, o.delete_after_seconds) for o in again]
    assert len({o.key for o in first}) == 50
    assert {o.lane for o in first} == {"interactive", "normal", "batch"}

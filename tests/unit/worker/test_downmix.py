"""Channels become one, and none is lost in the other."""

from __future__ import annotations

import numpy as np
import pytest

from asr_worker.audio.decoding.downmix import Downmix
from asr_worker.audio.pcm import FloatArray

BLOCK = 16_000


def noise(seed: int, loudness: float = 0.1) -> FloatArray:
    return np.random.default_rng(seed).normal(0, loudness, BLOCK).astype(np.float32)


def test_ordinary_channels_are_their_mean() -> None:
    same, other, nothing = noise(1), noise(2), np.zeros(BLOCK, np.float32)
    for channels in ([same, other], [same, same], [same, nothing], [nothing] * 2, [same] * 6):
        block = np.stack(channels)
        np.testing.assert_array_equal(Downmix()(block), block.mean(axis=0, keepdims=True))
    surround = np.stack([nothing, nothing, same, nothing, nothing, nothing])
    np.testing.assert_array_equal(Downmix()(surround), surround.mean(axis=0, keepdims=True))


@pytest.mark.parametrize("rest", [0.0, 0.01])
def test_a_channel_that_the_other_cancels_speaks(rest: float) -> None:
    speech = noise(1)
    block = np.stack([speech, -speech + rest * noise(2, 1.0)])
    assert np.corrcoef(Downmix()(block)[0], speech)[0, 1] > 0.99
    six = np.stack([speech, -speech, *np.zeros((4, BLOCK), np.float32)])
    np.testing.assert_array_equal(Downmix()(six)[0], speech)


def test_equal_channels_that_cancel_take_no_turns() -> None:
    downmix = Downmix()
    for number in range(6):
        speech = noise(number)
        loud = 1.0 + 0.05 * (-1) ** number
        mixed = downmix(np.stack([speech, -speech * np.float32(loud)]))
        np.testing.assert_array_equal(mixed[0], speech)


def test_only_the_stretch_that_cancels_is_replaced() -> None:
    downmix, speech = Downmix(), noise(3)
    np.testing.assert_array_equal(downmix(np.stack([speech, -speech]))[0], speech)
    both = np.stack([speech, noise(4)])
    np.testing.assert_array_equal(downmix(both), both.mean(axis=0, keepdims=True))

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


def test_one_channel_and_no_samples_are_left_as_they_are() -> None:
    one = noise(1)[None]
    np.testing.assert_array_equal(Downmix()(one), one)
    assert Downmix()(np.zeros((2, 0), np.float32)).shape == (1, 0)


def test_channels_cancel_where_a_fifth_is_left_of_what_one_alone_would_leave() -> None:
    """Of six channels one alone leaves a sixth of itself, a 36th of its power."""
    speech, nothing = noise(1), np.zeros((4, BLOCK), np.float32)
    for rest, is_mean in ((0.5, True), (0.4, False)):
        block = np.stack([speech, np.float32(rest - 1) * speech, *nothing])
        expected = block.mean(axis=0) if is_mean else speech
        np.testing.assert_array_equal(Downmix()(block)[0], expected)


def test_what_cancels_below_hearing_is_their_mean() -> None:
    faint = noise(1, 1e-6)
    np.testing.assert_array_equal(Downmix()(np.stack([faint, -faint]))[0], np.zeros(BLOCK))


def test_another_channel_takes_over_where_it_is_twice_as_loud_in_power() -> None:
    speech = noise(1)
    for gain, speaker in ((1.4, 0), (1.45, 1)):
        downmix = Downmix()
        downmix(np.stack([speech, -speech]))
        louder = np.stack([speech, np.float32(-gain) * speech])
        np.testing.assert_array_equal(downmix(louder)[0], louder[speaker])


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

"""One channel from several: their mean, unless they cancel. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from asr_worker.audio.pcm import FloatArray

# Share of the power that a mean keeps of one channel among silent ones; below, channels cancel.
CANCELLED_SHARE: Final = 0.2
# Hysteresis: another channel is selected only if its power is larger by this factor.
LOUDER: Final = 2.0
_SILENCE_POWER: Final = 1e-10


class Downmix:
    """Mixes the blocks of one recording, of about a second each.

    A microphone with reversed polarity gives a channel that is the inverse of the other, so that
    their mean is silent. Where the mean has far less power than the loudest channel, that channel
    is used alone.
    """

    def __init__(self) -> None:
        self._speaker = 0

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Shape (channels, samples) to (1, samples)."""
        count = len(samples)
        if count == 1 or not samples.shape[1]:
            return samples[:1]
        mixed: FloatArray = samples.mean(axis=0, keepdims=True)
        powers = np.einsum("cs,cs->c", samples, samples) / samples.shape[1]
        loudest = int(powers.argmax())
        power = np.einsum("cs,cs->", mixed, mixed) / samples.shape[1]
        least = powers[loudest] * CANCELLED_SHARE / count**2
        if power >= least or powers[loudest] < _SILENCE_POWER:
            return mixed
        if self._speaker >= count or powers[loudest] > LOUDER * powers[self._speaker]:
            self._speaker = loudest
        return samples[self._speaker, None]

"""What of a recording is speech: everything else is dropped before it costs an engine anything.

A detector finds the regions; what is kept is wider than they are, so that a word which begins
softly is whole. Sound is read a minute at a time, so that memory does not grow with the recording.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from asr_core.voice.regions import Region, padded, regions_of
from asr_core.voice.silero import SileroModel
from asr_worker.audio.pcm import ENERGY_FRAME_SAMPLES, SAMPLE_RATE, FloatArray, PcmFile
from asr_worker.audio.segments import SILENCE_POWER, Span, audible_stretches

# Kept on both sides of speech: its soft onsets and ends, and what a detector takes long to notice.
MARGIN_SECONDS: Final = 1.0
# A shorter stretch between two margins is kept: to drop it would save less than a segment costs.
SHORTEST_DROP_SECONDS: Final = 1.0
# Detectors are trained on speech of usual loudness. At -40 dB Silero misses a third of the frames
# that it finds at -20 dB, and noise is as little speech for it at any loudness: so what is quieter
# is brought to this level, the mean square that a twentieth of the 10 ms frames exceed.
USUAL_POWER: Final = 10.0 ** (-20 / 10)
MOST_GAIN: Final = 10.0 ** (40 / 20)
_LOUD_PERCENTILE: Final = 95
# A whole number of energy frames and of the detectors' frames.
BLOCK_SAMPLES: Final = 60 * SAMPLE_RATE


class SpeechDetector(Protocol):
    """Finds speech in sound. Any thread may use it, several at once."""

    @property
    def name(self) -> str:
        """As `ASR_VAD` names it."""

    def regions(self, blocks: Iterator[FloatArray]) -> list[Region] | None:
        """Speech in one stretch of sound, in order; samples count from its beginning. None: all of
        it, to be kept as it is. Blocks are mono float32 at 16 kHz, at a usual level.
        """


class EnergyDetector:
    """Takes all that is not digital silence for speech."""

    name = "energy"

    def regions(self, blocks: Iterator[FloatArray]) -> None:
        """Without a look at the sound: how loud it is has already decided."""


class SileroDetector:
    """Silero's model; one session for all recordings of a process."""

    name = "silero"
    # So that the pauses between words count as speech.
    _PAD_SECONDS: Final = 0.1

    def __init__(self) -> None:
        """Raises ImportError where onnxruntime is missing."""
        self._model = SileroModel()

    def regions(self, blocks: Iterator[FloatArray]) -> list[Region]:
        """Regions of the model's probabilities."""
        samples = 0

        def counted() -> Iterator[FloatArray]:
            nonlocal samples
            for block in blocks:
                samples += len(block)
                yield block

        found = regions_of(self._model.probabilities(counted()))
        return padded(found, self._PAD_SECONDS, Region(0, samples))


@dataclass(frozen=True)
class Speech:
    """Of one channel: the regions of speech, and what of the channel is kept for the engine."""

    regions: list[Region]
    kept: list[Span]


def find_speech(
    detector: SpeechDetector,
    pcm: PcmFile,
    channel: int,
    energy: FloatArray,
    on_block: Callable[[], None] = lambda: None,
) -> Speech:
    """Looks for speech in what is audible of a channel. `on_block` is called for each minute of it,
    and may raise to stop. `energy` is the channel's.
    """
    speech = Speech([], [])
    for stretch in audible_stretches(energy, sample_count=pcm.sample_count):
        whole = Region(stretch.start, stretch.end)
        found = detector.regions(_blocks(pcm, channel, energy, stretch, on_block))
        if found is None:
            speech.regions.append(whole)
            speech.kept.append(stretch)
            continue
        regions = [Region(stretch.start + start, stretch.start + end) for start, end in found]
        kept = padded(regions, MARGIN_SECONDS, whole, min_gap_seconds=SHORTEST_DROP_SECONDS)
        speech.regions.extend(regions)
        speech.kept.extend(Span(start, end) for start, end in kept)
    return speech


def _blocks(
    pcm: PcmFile, channel: int, energy: FloatArray, stretch: Span, on_block: Callable[[], None]
) -> Iterator[FloatArray]:
    """A stretch a minute at a time, each at a usual level."""
    for start in range(stretch.start, stretch.end, BLOCK_SAMPLES):
        end = min(start + BLOCK_SAMPLES, stretch.end)
        powers = energy[start // ENERGY_FRAME_SAMPLES : -(-end // ENERGY_FRAME_SAMPLES)]
        samples = pcm.samples(channel, start, end) * np.float32(_gain(powers))
        yield np.clip(samples, -1.0, 1.0)
        on_block()


def _gain(powers: FloatArray) -> float:
    """The factor for samples with these mean squares; what is loud stays as it is."""
    audible = powers[powers > SILENCE_POWER]
    if not len(audible):
        return 1.0
    loud = float(np.percentile(audible, _LOUD_PERCENTILE))
    return min(max(math.sqrt(USUAL_POWER / loud), 1.0), MOST_GAIN)

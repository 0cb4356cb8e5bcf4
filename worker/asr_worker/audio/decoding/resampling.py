"""Frames of any rate, and holes between them, to blocks at 16 kHz.

Silence is made here, after the channels are mixed and in blocks of a second: a hole costs the same
memory however long it is and whatever the source's rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame

from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray

BLOCK_SAMPLES: Final = 192_000


class FloatFrame(NamedTuple):
    """Samples of shape (channels, samples) as the source had them, and when by its clock; None: the
    container does not say.
    """

    samples: FloatArray
    rate: int
    time_seconds: float | None = None


class Silence(NamedTuple):
    """Nothing is heard until `until_seconds`, counted from the first sample."""

    until_seconds: float


class Resampler:
    """One source rate to 16 kHz with libswresample, each lane by itself; 16 kHz passes through."""

    def __init__(self, rate: int, lanes: int) -> None:
        self.rate = rate
        self._lanes = (
            []
            if rate == SAMPLE_RATE
            else [
                av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
                for _ in range(lanes)
            ]
        )

    def push(self, samples: FloatArray) -> FloatArray:
        """Samples in, as many samples out as are certain by now."""
        if not self._lanes:
            return samples
        frames = [
            AudioFrame.from_ndarray(np.ascontiguousarray(lane[None]), format="fltp", layout="mono")
            for lane in samples
        ]
        for frame in frames:
            frame.sample_rate = self.rate
        return self._run(list(frames))

    def flush(self) -> FloatArray:
        """What the filters still held; the resampler is spent afterwards."""
        return self._run([None] * len(self._lanes))

    def _run(self, frames: list[AudioFrame | None]) -> FloatArray:
        lanes = []
        for resampler, frame in zip(self._lanes, frames, strict=True):
            parts = [part.to_ndarray()[0] for part in resampler.resample(frame)]
            lanes.append(np.concatenate(parts) if parts else np.empty(0, np.float32))
        return (
            np.stack(lanes).astype(np.float32, copy=False)
            if lanes
            else np.empty((1, 0), np.float32)
        )


def gathered(frames: Iterator[FloatFrame | Silence]) -> Iterator[FloatFrame | Silence]:
    """Join small frames of one layout into about a second: frames of 20 ms cost too many calls."""
    held: list[FloatFrame] = []
    held_samples = 0
    for frame in frames:
        if held and (
            held_samples >= min(held[0].rate, BLOCK_SAMPLES) or not _joins(held[0], frame)
        ):
            yield _joined(held)
            held, held_samples = [], 0
        if isinstance(frame, Silence):
            yield frame
        else:
            held.append(frame)
            held_samples += frame.samples.shape[1]
    if held:
        yield _joined(held)


def resampled(
    frames: Iterator[FloatFrame | Silence], to_lanes: Callable[[FloatArray], FloatArray]
) -> Iterator[FloatArray]:
    """Blocks of shape (lanes, samples) at 16 kHz; `to_lanes` mixes or parts the channels."""
    resampler: Resampler | None = None
    made = 0
    for frame in frames:
        if resampler is not None and (isinstance(frame, Silence) or resampler.rate != frame.rate):
            block = resampler.flush()
            resampler = None
            made += block.shape[1]
            yield block
        if isinstance(frame, Silence):
            for zeros in _zeros(round(frame.until_seconds * SAMPLE_RATE) - made):
                made += zeros.shape[1]
                yield to_lanes(zeros)
            continue
        lanes = to_lanes(frame.samples)
        resampler = resampler or Resampler(frame.rate, len(lanes))
        block = resampler.push(lanes)
        made += block.shape[1]
        yield block
    if resampler is not None:
        yield resampler.flush()


def _zeros(samples: int) -> Iterator[FloatArray]:
    while samples > 0:
        size = min(samples, SAMPLE_RATE)
        yield np.zeros((1, size), np.float32)
        samples -= size


def _joins(first: FloatFrame, other: FloatFrame | Silence) -> bool:
    """Whether they can stand in one block."""
    return (
        isinstance(other, FloatFrame)
        and first.rate == other.rate
        and len(first.samples) == len(other.samples)
    )


def _joined(frames: list[FloatFrame]) -> FloatFrame:
    return FloatFrame(np.concatenate([frame.samples for frame in frames], axis=1), frames[0].rate)

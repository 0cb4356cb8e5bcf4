"""Resamples frames of any rate, and the gaps between them, to blocks at 16 kHz.

Silence for gaps is generated here, after the mix-down and a second at a time, so that a gap takes
the same memory whatever its length and the source's rate.
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
    """Samples of shape (channels, samples) at the source's rate, with their presentation time; None
    where the container has none.
    """

    samples: FloatArray
    rate: int
    time_seconds: float | None = None


class Silence(NamedTuple):
    """Silence until `until_seconds`, counted from the first sample."""

    until_seconds: float


class Resampler:
    """One source rate to 16 kHz with libswresample, channel by channel; 16 kHz passes through."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate = rate
        self._channels = (
            []
            if rate == SAMPLE_RATE
            else [
                av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
                for _ in range(channels)
            ]
        )

    def push(self, samples: FloatArray) -> FloatArray:
        """Takes (channels, samples); returns the samples that the filters have finished."""
        if not self._channels:
            return samples
        frames = [
            AudioFrame.from_ndarray(
                np.ascontiguousarray(channel[None]), format="fltp", layout="mono"
            )
            for channel in samples
        ]
        for frame in frames:
            frame.sample_rate = self.rate
        return self._run(list(frames))

    def flush(self) -> FloatArray:
        """The samples left in the filters; the resampler cannot be used afterwards."""
        return self._run([None] * len(self._channels))

    def _run(self, frames: list[AudioFrame | None]) -> FloatArray:
        channels = []
        for resampler, frame in zip(self._channels, frames, strict=True):
            parts = [part.to_ndarray()[0] for part in resampler.resample(frame)]
            channels.append(np.concatenate(parts) if parts else np.empty(0, np.float32))
        return (
            np.stack(channels).astype(np.float32, copy=False)
            if channels
            else np.empty((1, 0), np.float32)
        )


def gathered(frames: Iterator[FloatFrame | Silence]) -> Iterator[FloatFrame | Silence]:
    """Joins small frames of one layout to about a second: 20 ms frames cost too many calls."""
    pending: list[FloatFrame] = []
    pending_samples = 0
    for frame in frames:
        if pending and (
            pending_samples >= min(pending[0].rate, BLOCK_SAMPLES) or not _joins(pending[0], frame)
        ):
            yield _joined(pending)
            pending, pending_samples = [], 0
        if isinstance(frame, Silence):
            yield frame
        else:
            pending.append(frame)
            pending_samples += frame.samples.shape[1]
    if pending:
        yield _joined(pending)


def resampled(
    frames: Iterator[FloatFrame | Silence], to_channels: Callable[[FloatArray], FloatArray]
) -> Iterator[FloatArray]:
    """Blocks of shape (channels, samples) at 16 kHz; `to_channels` mixes or splits the source."""
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
                yield to_channels(zeros)
            continue
        channels = to_channels(frame.samples)
        resampler = resampler or Resampler(frame.rate, len(channels))
        block = resampler.push(channels)
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
    """Whether two frames have the same rate and channel count."""
    return (
        isinstance(other, FloatFrame)
        and first.rate == other.rate
        and len(first.samples) == len(other.samples)
    )


def _joined(frames: list[FloatFrame]) -> FloatFrame:
    return FloatFrame(np.concatenate([frame.samples for frame in frames], axis=1), frames[0].rate)

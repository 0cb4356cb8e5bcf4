"""Decoded audio on disk: 16 kHz samples and their energies, written once and read by span.

Independent of containers, codecs and engines. A file rather than memory, because ten hours take
1.15 GB and many tasks are in flight at once; int16 rather than float32, because that halves the
disk space and is the depth of nearly every source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt

from asr_core.result import TranscriptWarning

SAMPLE_RATE: Final = 16_000
ENERGY_FRAME_SAMPLES: Final = 160  # 10 ms
BYTES_PER_SECOND: Final = 2 * SAMPLE_RATE + 4 * SAMPLE_RATE // ENERGY_FRAME_SAMPLES

Channels = Literal["mix", "split"]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PcmFile:
    """One recording at 16 kHz; `channels` is 1 for a mono mix, else that of the source."""

    path: Path
    channels: int
    sample_count: int
    mixed: bool
    codec: str = ""
    source_rate: int = 0
    source_channels: int = 0
    damaged_packets: int = 0
    warnings: tuple[TranscriptWarning, ...] = ()

    @property
    def duration_seconds(self) -> float:
        return self.sample_count / SAMPLE_RATE

    @property
    def size_bytes(self) -> int:
        """Of both files together."""
        frames = -(-self.sample_count // ENERGY_FRAME_SAMPLES)
        return self.channels * (2 * self.sample_count + 4 * frames)

    @property
    def energy_path(self) -> Path:
        return energy_path(self.path)

    def source_channel(self, channel: int) -> int | None:
        """The source's channel that `channel` holds; None for a mix of all."""
        return None if self.mixed else channel

    def samples(self, channel: int = 0, start: int = 0, end: int | None = None) -> FloatArray:
        """Samples `start`..`end` of a channel as float32 in [-1, 1); only this span is read."""
        stop = self.sample_count if end is None else min(end, self.sample_count)
        count = max(stop - start, 0) * self.channels
        raw = np.fromfile(self.path, np.int16, count=count, offset=start * self.channels * 2)
        return raw.reshape(-1, self.channels)[:, channel].astype(np.float32) / np.float32(32768)

    def energy(self, channel: int = 0) -> FloatArray:
        """Mean square of each 10 ms of a channel; the last frame may be shorter."""
        return (
            np.fromfile(self.energy_path, np.float32).reshape(-1, self.channels)[:, channel].copy()
        )

    def delete(self) -> None:
        """Remove both files; a second call does nothing."""
        self.path.unlink(missing_ok=True)
        self.energy_path.unlink(missing_ok=True)


def energy_path(path: Path) -> Path:
    """The file with the energies of the samples in `path`."""
    return path.with_name(path.name + ".energy")


class PcmWriter:
    """Writes blocks of float32 samples and, in the same pass, their energies."""

    def __init__(self, path: Path, channels: int) -> None:
        self.sample_count = 0
        self._carry: FloatArray = np.empty((channels, 0), np.float32)
        self._samples = path.open("wb")
        self._energies = energy_path(path).open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._carry.shape[1]:
            self._write_energies(self._carry[:, None, :])
        self._samples.close()
        self._energies.close()

    def write(self, block: FloatArray) -> None:
        """Appends samples of shape (channels, samples)."""
        clipped = np.clip(np.rint(block * np.float32(32768)), -32768, 32767).astype(np.int16)
        self._samples.write(np.ascontiguousarray(clipped.T).data)
        self.sample_count += block.shape[1]
        joined = np.concatenate([self._carry, block], axis=1)
        whole = joined.shape[1] // ENERGY_FRAME_SAMPLES * ENERGY_FRAME_SAMPLES
        self._write_energies(joined[:, :whole].reshape(len(joined), -1, ENERGY_FRAME_SAMPLES))
        self._carry = joined[:, whole:]

    def _write_energies(self, frames: FloatArray) -> None:
        energies = np.square(frames).mean(axis=2)
        self._energies.write(np.ascontiguousarray(energies.T).data)

"""Short recordings: cuts of the bundled demo at its quiet points, and files that must fail."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 16_000
FRAME = RATE // 50
LOWEST_SECONDS, HIGHEST_SECONDS = 0.5, 4.0
LONG_REPEATS = (4, 7)  # of twelve seconds: work for several batches, so that hands are full
# The API of the stage serves more than its workers do: these are accepted, and fail for good.
WORKER_MAX_SECONDS = 100
DOOMED_SECONDS = (101, 120)

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Clip:
    """A file to upload. `doomed`: the API takes it, and every worker must refuse it."""

    name: str
    data: bytes
    long: bool = False
    doomed: bool = False


def make_clips(demo: Path, *, count: int) -> list[Clip]:
    """`count` different recordings of 0.5 to 4 s, two of about a minute, and two doomed ones."""
    samples = _read(demo)
    quiet = quiet_points(samples)
    pairs = [
        (start, end)
        for start in quiet
        for end in quiet
        if LOWEST_SECONDS * RATE <= end - start <= HIGHEST_SECONDS * RATE
    ]
    step = max(1, len(pairs) // count)
    cuts = pairs[::step][:count]
    clips = [Clip(f"clip-{n:02}.wav", _wav(samples[a:b])) for n, (a, b) in enumerate(cuts)]
    doomed = [Clip(f"doomed-{n}.wav", _silence(n), doomed=True) for n in DOOMED_SECONDS]
    long = [Clip(f"long-{n}.wav", _wav(np.tile(samples, n)), long=True) for n in LONG_REPEATS]
    return clips + long + doomed


def quiet_points(samples: Samples) -> list[int]:
    """Sample offsets of the quietest frames of 20 ms, each the quietest for 0.2 s around."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    energy = (frames**2).mean(axis=1)
    reach = 10
    lowest = [
        n
        for n in range(len(energy))
        if energy[n] <= energy[max(0, n - reach) : n + reach + 1].min()
    ]
    return [n * FRAME + FRAME // 2 for n in lowest]


def _read(path: Path) -> Samples:
    with wave.open(str(path), "rb") as file:
        shape = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if shape != (RATE, 1, 2):
            raise ValueError(f"{path} is not 16 kHz, mono, 16 bit: {shape}")
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def _wav(samples: Samples) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(samples.tobytes())
    return target.getvalue()


def _silence(seconds: int) -> bytes:
    """Silence at 8 kHz and 8 bit."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", "not compressed"))
        file.writeframes(b"\x80" * (8000 * seconds))
    return target.getvalue()

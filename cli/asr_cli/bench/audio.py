"""Recordings to measure with: speech of the bundled recording, turned and repeated."""

from __future__ import annotations

import io
import random
import wave
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.int16]

SAMPLE_RATE = 16_000


def embedded_folder() -> Path:
    return Path(str(files("asr_worker"))) / "embedded"


def recordings(seconds: Sequence[float], seed: int) -> list[Samples]:
    """Mono, 16 kHz, 16 bits; each begins elsewhere in the speech."""
    import numpy as np

    with wave.open(str(embedded_folder() / "demo.wav")) as demo:
        speech = np.frombuffer(demo.readframes(demo.getnframes()), np.int16)
    chance = random.Random(seed)
    return [
        np.resize(np.roll(speech, -chance.randrange(len(speech))), int(length * SAMPLE_RATE))
        for length in seconds
    ]


def wav(samples: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return file.getvalue()


def as_floats(samples: Samples) -> Any:
    """Samples in [-1, 1) as float32."""
    import numpy as np

    return samples.astype(np.float32) / 32768

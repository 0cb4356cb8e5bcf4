"""Which voices are one speaker: FunASR's clustering and smoothing.

Windows that sound alike are one speaker, of fewer than 20 windows (some 15 s) all are, and a turn
shorter than 0.7 s falls to its neighbour.

Source: `funasr.models.campplus.cluster_backend`, `funasr.models.campplus.utils.postprocess`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from asr_worker.pcm import FloatArray

# The cost of clustering grows with the cube: in a longer recording so many windows, evenly spread,
# make the speakers, and every window belongs to the nearest.
MOST_CLUSTERED: Final = 2000


def smoothed_turns(
    windows: Sequence[tuple[float, float]], embeddings: FloatArray
) -> list[tuple[float, float, int]]:
    """Turns in order, as start and end in seconds and speaker, from windows in order of time and
    their embeddings (windows, size). The same each time.
    """
    from funasr.models.campplus.utils import postprocess

    embeddings = np.nan_to_num(embeddings)  # a transcript is not lost for a voice that is none
    labels = speakers_of(embeddings)
    turns = postprocess([list(window) for window in windows], None, labels, embeddings)
    return [(start, end, int(label)) for start, end, label in turns]


def speakers_of(embeddings: FloatArray) -> npt.NDArray[np.int64]:
    """Which speaker each window is of."""
    from funasr.models.campplus.cluster_backend import ClusterBackend

    step = -(-len(embeddings) // MOST_CLUSTERED)
    chosen = embeddings[::step]
    before = np.random.get_state()  # FunASR's k-means draws from it
    np.random.seed(0)
    try:
        labels = np.asarray(ClusterBackend()(chosen), np.int64)
    finally:
        np.random.set_state(before)
    if step == 1:
        return labels
    centres = np.stack([chosen[labels == label].mean(axis=0) for label in np.unique(labels)])
    nearest: npt.NDArray[np.int64] = np.argmax(_unit(embeddings) @ _unit(centres).T, axis=1)
    return nearest


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return unit

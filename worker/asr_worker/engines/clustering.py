"""Which voices are one speaker: FunASR's clustering and smoothing.

Windows that sound alike are one speaker, of fewer than 20 windows (some 15 s) all are, and a turn
shorter than 0.7 s falls to its neighbour.

Source: `funasr.models.campplus.cluster_backend`, `funasr.models.campplus.utils.postprocess`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from asr_worker.audio.pcm import FloatArray

# The cost of clustering grows with the cube: in a longer recording so many windows, evenly spread,
# make the speakers, and every window belongs to the nearest. From 2048 on, FunASR takes UMAP, which
# draws from numpy's shared generator.
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
    step = -(-len(embeddings) // MOST_CLUSTERED)
    chosen = embeddings[::step]
    labels = np.asarray(_backend()(chosen), np.int64)
    if step == 1:
        return labels
    centres = np.stack([chosen[labels == label].mean(axis=0) for label in np.unique(labels)])
    nearest: npt.NDArray[np.int64] = np.argmax(_unit(embeddings) @ _unit(centres).T, axis=1)
    return nearest


def _backend() -> Callable[[FloatArray], npt.ArrayLike]:
    """FunASR's clustering, with a k-means that draws from a generator of its own.

    FunASR's draws from numpy's, which all threads share: two recordings that end at the same time
    changed each other's speakers.
    """
    from funasr.models.campplus.cluster_backend import ClusterBackend, k_means

    def cluster(embeddings: FloatArray, count: int) -> npt.NDArray[np.int32]:
        labels: npt.NDArray[np.int32] = k_means(embeddings, count, random_state=0)[1]
        return labels

    backend = ClusterBackend()
    backend.spectral_cluster.cluster_embs = cluster
    as_function: Callable[[FloatArray], npt.ArrayLike] = backend
    return as_function


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return unit

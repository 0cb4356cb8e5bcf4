"""FunASR's clustering and smoothing of speaker embeddings.

Similar windows are one speaker; fewer than 20 windows (some 15 s) are always one. A turn shorter
than 0.7 s is merged into its neighbour.

Source: `funasr.models.campplus.cluster_backend`, `funasr.models.campplus.utils.postprocess`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from asr_worker.audio.pcm import FloatArray

# Clustering takes cubic time: of longer recordings so many windows, evenly spaced, are clustered,
# and the others assigned to the nearest centre. From 2048 on, FunASR uses UMAP, which draws from
# numpy's global generator.
MOST_CLUSTERED: Final = 2000


def smoothed_turns(
    windows: Sequence[tuple[float, float]], embeddings: FloatArray
) -> list[tuple[float, float, int]]:
    """Turns (start and end in seconds, speaker) from windows in order of time and their embeddings
    (windows, size). Deterministic.
    """
    from funasr.models.campplus.utils import postprocess

    embeddings = np.nan_to_num(embeddings)  # an invalid embedding must not fail the transcript
    labels = speakers_of(embeddings)
    turns = postprocess([list(window) for window in windows], None, labels, embeddings)
    return [(start, end, int(label)) for start, end, label in turns]


def speakers_of(embeddings: FloatArray) -> npt.NDArray[np.int64]:
    """The speaker of each window."""
    step = -(-len(embeddings) // MOST_CLUSTERED)
    chosen = embeddings[::step]
    labels = np.asarray(_backend()(chosen), np.int64)
    if step == 1:
        return labels
    centres = np.stack([chosen[labels == label].mean(axis=0) for label in np.unique(labels)])
    nearest: npt.NDArray[np.int64] = np.argmax(_unit(embeddings) @ _unit(centres).T, axis=1)
    return nearest


def _backend() -> Callable[[FloatArray], npt.ArrayLike]:
    """FunASR's clustering, with a k-means that has its own random generator.

    FunASR's uses numpy's global one, which all threads share: recordings that end at the same time
    would change each other's speakers.
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

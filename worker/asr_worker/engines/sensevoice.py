"""SenseVoiceSmall on whole batches of segments from many tasks.

FunASR's `AutoModel` runs one file at a time; this runs the same weights (encoder, CTC head,
tokenizer) on batches, with each segment's own language and text normalisation. The text equals that
of `AutoModel.generate`: each segment attends only to itself, whatever else is in the batch.

Source: `funasr.models.sense_voice.model.SenseVoiceSmall.inference`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from asr_worker.engines.base import Feature, SegmentAudio, SegmentText
from asr_worker.engines.batch_engine import BatchEngine
from asr_worker.engines.precision import lowered
from asr_worker.engines.sanm import SanmEncoder, layout_on
from asr_worker.engines.tags import is_tag, parse_tags
from asr_worker.engines.transfer import HostCopy, to_device
from asr_worker.engines.words import TimedToken, group_words

# Four query frames precede the audio: language, event, emotion, text normalisation.
QUERY_FRAMES: Final = 4
EVENT_EMOTION_QUERIES: Final = (1, 2)
_NO_LANGUAGES: Final = frozenset({"auto", "nospeech"})
# Frames per call of the CTC head, of 25,055 outputs each: 26 MB, which fits a CPU's caches, or
# 0.4 GB.
HEAD_FRAMES_ON_CPU: Final = 256
HEAD_FRAMES: Final = 4096
# FunASR's alignment puts a token half a frame before its index.
HALF_FRAME: Final = 0.5
# Best token of every frame and its probability, segments concatenated; frames per segment.
_Paths = tuple[HostCopy, HostCopy, list[int]]


class SenseVoiceEngine(BatchEngine):
    """The `sensevoice` engine. One thread owns it."""

    name = "sensevoice"
    architectures = frozenset({"SenseVoiceSmall"})
    auto_architectures = architectures
    supports: Final[frozenset[Feature]] = frozenset(
        {"language", "itn", "timestamps", "emotion", "events"}
    )

    def _take(self, model: Any, parts: dict[str, Any]) -> None:
        self._language_ids: dict[str, int] = model.lid_dict
        self.languages = frozenset(self._language_ids) - _NO_LANGUAGES
        self._styles: dict[str, int] = model.textnorm_dict
        pad_outputs(model.ctc.ctc_lo)
        self._model = lowered(model, self._precision, self.device)
        self._encoder = SanmEncoder(self._model.encoder)

    def _compute(
        self, features: torch.Tensor, lengths: torch.Tensor, batch: Sequence[SegmentAudio]
    ) -> _Paths:
        encoded, frames = self._encode(features, lengths, batch)
        return *self._best_path(encoded), frames

    def _texts(self, computed: _Paths) -> list[SegmentText]:
        ids, confidences, frames = computed
        return [self._text(*path) for path in _split(ids.numpy(), confidences.numpy(), frames)]

    def _encode(
        self, features: torch.Tensor, lengths: torch.Tensor, batch: Sequence[SegmentAudio]
    ) -> tuple[torch.Tensor, list[int]]:
        """Encoder output (all frames, size), and each segment's frames with its queries."""
        queries = torch.tensor(
            [
                [
                    self._language_ids.get(segment.options.language, self._language_ids["auto"]),
                    *EVENT_EMOTION_QUERIES,
                    self._styles["withitn" if segment.options.itn else "woitn"],
                ]
                for segment in batch
            ]
        )
        asked = self._model.embed(to_device(queries, self.device)).to(features.dtype)
        frames: list[int] = (lengths + QUERY_FRAMES).tolist()
        layout = layout_on(features.device, frames)
        encoded = self._encoder(torch.cat([asked, features], dim=1), layout)
        return layout.valid(encoded), frames

    def _best_path(self, encoded: torch.Tensor) -> tuple[HostCopy, HostCopy]:
        """Best token of each frame and its probability."""
        ids, confidences = [], []
        most = HEAD_FRAMES_ON_CPU if encoded.device.type == "cpu" else HEAD_FRAMES
        for part in encoded.split(most):
            logits = self._model.ctc.ctc_lo(part).float()
            best, index = logits.max(dim=-1)
            ids.append(index)
            confidences.append((best - logits.logsumexp(dim=-1)).exp())
        return HostCopy(torch.cat(ids)), HostCopy(torch.cat(confidences))

    def _text(
        self, path: npt.NDArray[np.int64], confidences: npt.NDArray[np.float32]
    ) -> SegmentText:
        """Collapse one segment's path: text and tags from all frames, words from the audio's."""
        runs = list(_runs(path, confidences, self._model.blank_id))
        tagged = parse_tags(self._tokenizer.decode([token for token, *_ in runs]))
        return SegmentText(
            text=tagged.text,
            language=tagged.language,
            emotion=tagged.emotion,
            events=tagged.events,
            words=group_words(self._timed(runs, len(path)), self._tokenizer.decode),
        )

    def _timed(self, runs: Sequence[tuple[int, int, int, float]], frames: int) -> list[TimedToken]:
        """The tokens of speech with their times.

        The best path is the alignment: of all paths that collapse to these tokens it is the most
        probable one, so FunASR's forced alignment of its own output finds the same.
        """
        step = self._frame_seconds
        last = max(frames - QUERY_FRAMES - HALF_FRAME, 0.0) * step
        tokens = []
        for token, start, end, confidence in runs:
            piece = self._tokenizer.sp.id_to_piece(token)
            if start < QUERY_FRAMES or is_tag(piece):
                continue
            begin = max((start - QUERY_FRAMES - HALF_FRAME) * step, 0.0)
            stop = min((end - QUERY_FRAMES - HALF_FRAME) * step, last)
            tokens.append(TimedToken(token, piece, begin, max(stop, begin), confidence))
        return tokens


def pad_outputs(head: torch.nn.Linear, multiple: int = 64) -> None:
    """Pads the outputs of `head` to a multiple of `multiple` with outputs of minus infinity.

    Rows of 25,055 float32 do not align with cache lines, which slows the product down.
    """
    missing = -head.out_features % multiple
    head.weight = torch.nn.Parameter(F.pad(head.weight, (0, 0, 0, missing)), False)
    head.bias = torch.nn.Parameter(F.pad(head.bias, (0, missing), value=-torch.inf), False)
    head.out_features += missing


def _split(
    ids: npt.NDArray[np.int64], confidences: npt.NDArray[np.float32], frames: Sequence[int]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    bounds = np.cumsum(frames)[:-1]
    return zip(np.split(ids, bounds), np.split(confidences, bounds), strict=True)


def _runs(
    path: npt.NDArray[np.int64], confidences: npt.NDArray[np.float32], blank: int
) -> Iterator[tuple[int, int, int, float]]:
    """Token, first frame, end frame (exclusive) and peak probability of each run except blanks."""
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ends = np.append(starts[1:], len(path))
    peaks = np.maximum.reduceat(confidences, starts)
    for start, end, peak in zip(starts.tolist(), ends.tolist(), peaks.tolist(), strict=True):
        if path[start] != blank:
            yield int(path[start]), start, end, peak

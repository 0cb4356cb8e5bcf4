"""Voices: as FunASR hears them, and who speaks when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr_core.options import TaskOptions
from asr_worker.audio.segments import Span
from asr_worker.engines.base import Engine, SegmentAudio, SegmentText, SpeakerEmbedding, Word
from asr_worker.engines.choose import load_engine
from asr_worker.engines.clustering import MOST_CLUSTERED, smoothed_turns, speakers_of
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings
from asr_worker.transcript.assemble import assemble
from asr_worker.transcript.diarization import split_by_speaker, turns_of
from asr_worker.transcript.segment_result import SegmentResult


def _settings(**values: Any) -> WorkerSettings:
    return WorkerSettings(_env_file=None, use_gpu=False, cpu_threads=1, **values)


@pytest.fixture(scope="module")
def engine(two_voices: Any) -> Engine:
    return load_engine(_settings(speaker_model=str(two_voices.folder)))


def test_voices_are_those_that_funasr_hears(engine: Engine, two_voices: Any) -> None:
    from funasr import AutoModel
    from funasr.models.campplus.utils import sv_chunk

    auto = AutoModel(model=str(two_voices.folder), device="cpu", disable_update=True)
    [text_of_segment] = engine.submit(
        [SegmentAudio(two_voices.second, TaskOptions(speakers=True))]
    )()
    windows = sv_chunk([[0.0, 0.0, two_voices.second]])
    assert [
        (embedding.start_seconds, embedding.end_seconds)
        for embedding in text_of_segment.speaker_embeddings
    ] == [(start, end) for start, end, _ in windows]
    for embedding, (_, _, window) in zip(text_of_segment.speaker_embeddings, windows, strict=True):
        [theirs] = auto.generate(window)
        np.testing.assert_allclose(
            embedding.embedding, theirs["spk_embedding"][0].numpy(), rtol=1e-3, atol=1e-3
        )


def test_only_callers_who_ask_have_their_voices_heard_and_texts_stay_the_same(
    engine: Engine, two_voices: Any
) -> None:
    audio = [
        SegmentAudio(two_voices.first, TaskOptions(speakers=asked))
        for asked in (False, True, False)
    ]
    texts = engine.submit(audio)()
    assert [bool(text_of_segment.speaker_embeddings) for text_of_segment in texts] == [
        False,
        True,
        False,
    ]
    assert len({text_of_segment.text for text_of_segment in texts}) == 1
    assert texts[0].text
    assert "speakers" in engine.supports


def test_what_is_no_speaker_model_is_refused(embedded_folder: Path) -> None:
    with pytest.raises(ModelNotLoaded, match="must be CAMPPlus"):
        load_engine(_settings(speaker_model=str(embedded_folder)))


def _embeddings(*speakers: int, size: int = 16, seed: int = 5) -> list[SpeakerEmbedding]:
    """One window every 0.75 s; each speaker sounds nearly the same each time."""
    noise = np.random.default_rng(seed)
    return [
        SpeakerEmbedding(
            0.75 * number,
            0.75 * number + 1.5,
            (np.eye(size)[speaker] + noise.normal(0, 0.02, size)).astype(np.float32),
        )
        for number, speaker in enumerate(speakers)
    ]


def _placed(
    embeddings: list[SpeakerEmbedding],
    words: str = "",
    *,
    start: float = 0.0,
    channel: int | None = None,
) -> SegmentResult:
    """A word every second."""
    seconds = embeddings[-1].end_seconds
    timed = tuple(Word(word, n + 0.1, n + 0.9) for n, word in enumerate(words.split()))
    recognized = SegmentText(words or "text", words=timed, speaker_embeddings=tuple(embeddings))
    span = Span(round(start * 16_000), round((start + seconds) * 16_000))
    return SegmentResult(span, channel, recognized)


def test_a_segment_is_cut_between_two_words_where_the_speaker_changes() -> None:
    words = " ".join(f"w{number}," for number in range(24)) + "."
    part = _placed(_embeddings(*[0] * 16, *[1] * 16), words, start=100.0)
    (first, a), (second, b) = split_by_speaker(part, turns_of([part]))
    assert (a, b) == (0, 1)
    assert f"{first.recognized.text} {second.recognized.text}" == words
    assert len(first.recognized.words) + len(second.recognized.words) == 24
    assert first.span.start_seconds == 100.0
    assert first.span.end_seconds <= second.span.start_seconds
    assert second.span.end == part.span.end
    # The turn is near 12.4 s; words keep their place in the recording.
    assert second.span.start_seconds == pytest.approx(112.4, abs=1.5)
    assert second.recognized.words[0].start_seconds == 0
    last = second.span.start_seconds + second.recognized.words[-1].end_seconds
    assert last == pytest.approx(123.9)


def test_no_turn_begins_within_a_character() -> None:
    signs = "ที่" * 8  # the model takes each of its three signs for a word
    part = _placed(_embeddings(*[0] * 17, *[1] * 16), " ".join(signs))
    part = replace(part, recognized=replace(part.recognized, text=signs))
    pieces = split_by_speaker(part, turns_of([part]))
    assert [speaker for _, speaker in pieces] == [0, 1]
    assert "".join(piece.recognized.text for piece, _ in pieces) == signs
    assert all(len(piece.recognized.text) % 3 == 0 for piece, _ in pieces)


def test_a_segment_without_words_is_its_longest_speakers() -> None:
    part = _placed(_embeddings(*[0] * 10, *[1] * 20))
    other = _placed(_embeddings(*[0] * 10), start=60.0)
    turns = turns_of([part, other])
    assert split_by_speaker(part, turns) == [(part, 1)]
    assert split_by_speaker(other, turns) == [(other, 0)]


def test_speakers_are_the_same_over_channels_and_counted_as_they_begin_to_speak() -> None:
    late = _placed(_embeddings(*[3] * 15), start=30.0, channel=0)
    early = _placed(_embeddings(*[7] * 15), start=0.0, channel=1)
    again = _placed(_embeddings(*[3] * 15, seed=6), start=60.0, channel=1)
    turns = turns_of([late, early, again])
    assert [(turn.channel, turn.speaker) for turn in turns] == [(1, 0), (0, 1), (1, 1)]
    parts = [part for each in (late, early, again) for part in split_by_speaker(each, turns)]
    assert [speaker for _, speaker in parts] == [1, 0, 1]


def test_clustering_is_the_same_each_time_and_goes_on_behind_its_bound() -> None:
    order = np.random.default_rng(1).integers(0, 3, MOST_CLUSTERED * 2 + 77)
    embeddings = np.stack([embedding.embedding for embedding in _embeddings(*order.tolist())])
    labels = speakers_of(embeddings)
    assert np.array_equal(labels, speakers_of(embeddings))
    for speaker in range(3):
        assert len(np.unique(labels[order == speaker])) == 1
    assert len(np.unique(labels)) == 3


def test_recordings_that_end_together_do_not_change_each_others_speakers() -> None:
    crowd = np.random.default_rng(3).integers(0, 6, 400).tolist()
    embeddings = np.stack([embedding.embedding for embedding in _embeddings(*crowd)])
    expected = speakers_of(embeddings).tolist()
    assert len(set(expected)) == 6
    np.random.seed(7)
    own = np.random.RandomState(7)
    with ThreadPoolExecutor(3) as threads:
        others = [threads.submit(speakers_of, embeddings[: 200 + 50 * n]) for n in range(4)]
        again = [threads.submit(speakers_of, embeddings) for _ in range(8)]
        while not all(one.done() for one in [*others, *again]):
            # Nobody else's generator is drawn from, seeded or set back meanwhile.
            assert np.random.random() == own.random()
    assert [one.result().tolist() for one in again] == [expected] * len(again)


@pytest.mark.parametrize("value", [0.0, 1.0, float("nan")])
def test_voices_that_tell_nothing_are_one_speaker(value: float) -> None:
    windows = [(0.75 * number, 0.75 * number + 1.5) for number in range(30)]
    assert smoothed_turns(windows, np.full((30, 8), value, np.float32)) == [(0.0, 23.25, 0)]


def test_without_a_speaker_model_the_result_says_that_speakers_were_ignored(
    embedded_folder: Path,
) -> None:
    class Deaf:
        name, model_id, device = "toy", "toy", "cpu"
        supports: frozenset[str] = frozenset()
        languages: frozenset[str] = frozenset()

    engine: Any = Deaf()
    options = TaskOptions(speakers=True)
    part = SegmentResult(Span(0, 16_000), None, SegmentText("hello"))
    told = assemble([part], duration_seconds=1.0, engine=engine, options=options)
    assert told.options_ignored == ("speakers",)
    assert told.segments[0].speaker is None

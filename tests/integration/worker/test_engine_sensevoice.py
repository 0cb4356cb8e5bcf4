"""The SenseVoice engine says what FunASR's own AutoModel says, whatever shares the batch."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr_core.options import TaskOptions
from asr_worker.audio.pcm import FloatArray
from asr_worker.engines.base import SegmentAudio, SegmentText
from asr_worker.engines.features import FeatureExtractor
from asr_worker.engines.funasr_models import find_model
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.engines.tags import TaggedText, parse_tags

Babble = Callable[[float, int], FloatArray]


@pytest.fixture(scope="module", params=["random", "embedded"])
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(f"{request.param}_folder")
    return path


@pytest.fixture(scope="module")
def engine(folder: Path) -> SenseVoiceEngine:
    loaded = SenseVoiceEngine(find_model(str(folder)), "cpu", cpu_threads=1)
    loaded.load()
    return loaded


@pytest.fixture(scope="module")
def auto(folder: Path) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        from funasr import AutoModel

        model = AutoModel(
            model=str(folder),
            device="cpu",
            ncpu=1,
            disable_update=True,
            disable_pbar=True,
            check_latest=False,
            disable_log=True,
        )
    model.kwargs["frontend"].dither = 0.0
    return model


@pytest.fixture(scope="module")
def recordings(folder: Path, babble: Babble) -> list[FloatArray]:
    """64 segments of 0.1 to 8 seconds; of speech where there is some."""
    lengths = np.random.default_rng(3).uniform(0.1, 8.0, 64)
    demo = folder / "demo.wav"
    if not demo.is_file():
        return [babble(float(seconds), index) for index, seconds in enumerate(lengths)]
    from asr_worker.audio.decoder import decode

    speech = np.tile(decode(demo)[0], 4)
    starts = np.random.default_rng(4).integers(0, len(speech) - 8 * 16000, 64)
    return [
        np.ascontiguousarray(speech[start : start + int(seconds * 16000)])
        for start, seconds in zip(starts, lengths, strict=True)
    ]


@pytest.fixture(scope="module")
def expected(auto: Any, recordings: list[FloatArray]) -> list[TaggedText]:
    """What AutoModel says to each recording by itself."""
    return [parse_tags(_said_by(auto, pcm, "en", False)["text"]) for pcm in recordings]


def _said_by(auto: Any, pcm: FloatArray, language: str, use_itn: bool, **more: Any) -> Any:
    return auto.generate(pcm, language=language, use_itn=use_itn, **more)[0]


def _without_words(said: SegmentText) -> tuple[object, ...]:
    return (said.text, said.language, said.emotion, said.events)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8, 17, 64])
def test_the_text_is_that_of_automodel_at_every_batch_size(
    engine: SenseVoiceEngine,
    recordings: list[FloatArray],
    expected: list[TaggedText],
    batch_size: int,
) -> None:
    chosen = recordings if batch_size >= 8 else recordings[: batch_size * 4]
    said = []
    for start in range(0, len(chosen), batch_size):
        batch = [
            SegmentAudio(pcm, TaskOptions(language="en"))
            for pcm in chosen[start : start + batch_size]
        ]
        said += engine.transcribe(batch)
    assert any(part.text for part in said)
    assert [_without_words(part) for part in said] == [
        (part.text, part.language, part.emotion, part.events) for part in expected[: len(chosen)]
    ]


def test_each_segment_of_a_batch_has_its_own_language_and_text_normalisation(
    engine: SenseVoiceEngine, auto: Any, recordings: list[FloatArray]
) -> None:
    options = [("auto", False), ("en", True), ("zh", False), ("ja", True), ("xx", False)]
    pairs = [(recordings[index], *options[index % 5]) for index in range(20)]
    said = engine.transcribe(
        [
            SegmentAudio(pcm, TaskOptions.model_construct(language=language, itn=itn))
            for pcm, language, itn in pairs
        ]
    )
    expected = [parse_tags(_said_by(auto, *pair)["text"]) for pair in pairs]
    assert [part.text for part in said] == [part.text for part in expected]
    assert [part.language for part in said] == [part.language for part in expected]


def test_words_are_where_the_forced_alignment_of_funasr_puts_them(
    embedded_folder: Path,
) -> None:
    engine = SenseVoiceEngine(find_model(str(embedded_folder)), "cpu", cpu_threads=1)
    engine.load()
    from funasr import AutoModel

    from asr_worker.audio.decoder import decode

    auto = AutoModel(
        model=str(embedded_folder), device="cpu", disable_update=True, disable_pbar=True,
        check_latest=False, ncpu=1,
    )  # fmt: skip
    pcm = decode(embedded_folder / "demo.wav")[0]
    theirs = _said_by(auto, pcm, "en", False, output_timestamp=True)
    ours = engine.transcribe([SegmentAudio(pcm, TaskOptions(language="en"))])[0]
    assert ours.words
    assert [word.text for word in ours.words] == theirs["words"]
    for word, (start_ms, end_ms) in zip(ours.words, theirs["timestamp"], strict=True):
        assert word.start_seconds == pytest.approx(start_ms / 1000, abs=0.0015)
        assert word.end_seconds == pytest.approx(end_ms / 1000, abs=0.0015)


def test_features_are_those_of_funasrs_frontend(
    engine: SenseVoiceEngine, auto: Any, recordings: list[FloatArray]
) -> None:
    import torch

    frontend = auto.kwargs["frontend"]
    extractor = FeatureExtractor(frontend)
    for count in [400, 401, 559, 560, 561, 1359, 1360, 2000, 4321, 16000, 50001]:
        pcm = recordings[int(np.argmax([len(part) for part in recordings]))][:count]
        ours, lengths = extractor([pcm])
        theirs, their_lengths = frontend(torch.from_numpy(pcm)[None], [len(pcm)])
        assert lengths.tolist() == their_lengths.tolist()
        # Two float32 transforms that round differently: near-empty bands differ the most.
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)
        assert float((ours - theirs).abs().mean()) < 1e-5


def test_features_do_not_depend_on_what_shares_the_batch(
    auto: Any, recordings: list[FloatArray]
) -> None:
    import torch

    extractor = FeatureExtractor(auto.kwargs["frontend"])
    chosen = [recordings[0][:count] for count in (1, 399, 400, 561)] + recordings[:12]
    features, lengths = extractor(chosen)
    for pcm, row, count in zip(chosen, features, lengths.tolist(), strict=True):
        alone, (expected,) = extractor([pcm])
        assert count == expected
        torch.testing.assert_close(row[:count], alone[0], rtol=0, atol=1e-3)
        assert float((row[:count] - alone[0]).abs().mean()) < 1e-5
        assert not row[count:].any()


def test_word_times_rise_and_lie_inside_the_segment(
    engine: SenseVoiceEngine, recordings: list[FloatArray]
) -> None:
    segments = [SegmentAudio(pcm) for pcm in recordings[:16]]
    for segment, said in zip(segments, engine.transcribe(segments), strict=True):
        times = [(word.start_seconds, word.end_seconds) for word in said.words]
        assert times == sorted(times)
        assert all(0 <= start <= end <= segment.seconds + 0.06 for start, end in times)
        assert all(word.confidence is not None and 0 < word.confidence <= 1 for word in said.words)


def test_very_short_and_silent_segments_are_answered(engine: SenseVoiceEngine) -> None:
    lengths = [1, 100, 399, 400, 16000]
    said = engine.transcribe([SegmentAudio(np.zeros(count, np.float32)) for count in lengths])
    assert len(said) == len(lengths)


def test_no_segments_give_no_texts(engine: SenseVoiceEngine) -> None:
    assert engine.transcribe([]) == []

"""One transcript from many segments."""

from __future__ import annotations

from collections.abc import Sequence

from asr_core.options import TaskOptions
from asr_worker.audio.segments import Span
from asr_worker.engines.base import Feature, PendingTexts, SegmentAudio, SegmentText, Word
from asr_worker.transcript.assemble import assemble, join_texts
from asr_worker.transcript.segment_result import SegmentResult


class NamedEngine:
    """An engine with a name and nothing to say."""

    name = "sensevoice"
    model_id = "embedded"
    device = "cpu"
    supports: frozenset[Feature] = frozenset()
    languages: frozenset[str] = frozenset()

    def computed_seconds(self, seconds: float) -> float:
        return seconds

    def load(self) -> None: ...

    def warm_up(self) -> None: ...

    def submit(self, batch: Sequence[SegmentAudio]) -> PendingTexts:
        return lambda: [SegmentText("") for _ in batch]


def _placed(
    start: float, end: float, said: SegmentText, channel: int | None = None
) -> SegmentResult:
    return SegmentResult(Span(round(start * 16_000), round(end * 16_000)), channel, said)


def test_segments_come_back_in_order_with_words_in_the_recordings_time() -> None:
    hello = SegmentText("hello", "en", "happy", ("speech",), (Word("hello", 0.5, 1.0, 0.87654),))
    transcript = assemble(
        [_placed(30, 40, SegmentText("again", "en")), _placed(10, 12, hello)],
        duration_seconds=45.12349,
        engine=NamedEngine(),
        options=TaskOptions(),
    )
    assert transcript.text == "hello again"
    assert transcript.language == "en"
    assert transcript.duration_seconds == 45.123
    assert (transcript.model, transcript.engine, transcript.device) == (
        "embedded",
        "sensevoice",
        "cpu",
    )
    first, second = transcript.segments
    assert (first.start_seconds, first.end_seconds, first.emotion) == (10.0, 12.0, "happy")
    assert first.events == ("speech",)
    (word,) = first.words
    assert (word.start_seconds, word.end_seconds, word.confidence) == (10.5, 11.0, 0.8765)
    assert second.start_seconds == 30.0


def test_channels_that_speak_at_once_keep_their_names() -> None:
    transcript = assemble(
        [
            _placed(0, 2, SegmentText("right"), 1),
            _placed(0, 2, SegmentText("left"), 0),
            _placed(2, 3, SegmentText("later"), 0),
        ],
        duration_seconds=3,
        engine=NamedEngine(),
        options=TaskOptions(),
    )
    assert [(part.text, part.channel) for part in transcript.segments] == [
        ("left", 0),
        ("right", 1),
        ("later", 0),
    ]


def test_the_language_is_the_one_spoken_longest() -> None:
    transcript = assemble(
        [
            _placed(0, 1, SegmentText("a", "ja")),
            _placed(1, 2, SegmentText("b", "ja")),
            _placed(2, 12, SegmentText("c", "zh")),
        ],
        duration_seconds=12,
        engine=NamedEngine(),
        options=TaskOptions(),
    )
    assert transcript.language == "zh"


def test_silence_makes_an_empty_transcript() -> None:
    transcript = assemble(
        [_placed(0, 1, SegmentText(""))],
        duration_seconds=1,
        engine=NamedEngine(),
        options=TaskOptions(),
    )
    assert transcript.text == ""
    assert transcript.segments == ()
    assert transcript.language is None


def test_no_word_ends_after_its_segment() -> None:
    said = SegmentText("x", words=(Word("x", 0.9, 1.4),))
    transcript = assemble(
        [_placed(5, 6, said)], duration_seconds=6, engine=NamedEngine(), options=TaskOptions()
    )
    assert transcript.segments[0].words[0].end_seconds == 6.0


def test_texts_are_joined_as_their_script_is_written() -> None:
    assert join_texts(["one", "two"]) == "one two"
    assert join_texts(["欢迎", "大家"]) == "欢迎大家"
    assert join_texts(["欢迎", "you"]) == "欢迎 you"
    assert join_texts(["欢迎", "you 大家", "欢迎"]) == "欢迎 you 大家欢迎"


def test_the_result_names_the_options_that_the_model_has_not() -> None:
    asked = TaskOptions(language="en", itn=True, hotwords=("Zanzibar",))
    engine = NamedEngine()
    engine.supports = frozenset({"language", "timestamps"})
    transcript = assemble([], duration_seconds=1, engine=engine, options=asked)
    assert transcript.options_ignored == ("itn", "hotwords")
    plain = assemble([], duration_seconds=1, engine=engine, options=TaskOptions())
    assert plain.options_ignored == ()


def test_times_are_told_to_a_thousandth_and_confidences_to_a_ten_thousandth() -> None:
    said = SegmentText("x", words=(Word("x", 0.12345, 0.23456, 0.123456),))
    part = SegmentResult(Span(1, 16_001), None, said)
    (segment,) = assemble(
        [part], duration_seconds=1.0, engine=NamedEngine(), options=TaskOptions()
    ).segments
    assert (segment.start_seconds, segment.end_seconds) == (0.0, 1.0)
    (word,) = segment.words
    assert (word.start_seconds, word.end_seconds, word.confidence) == (0.124, 0.235, 0.1235)

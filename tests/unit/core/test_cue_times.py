"""When a cue begins and ends."""

from __future__ import annotations

from asr_core.render import cues
from asr_core.result import Transcript, TranscriptSegment, TranscriptWord


def segment(start: float, end: float, text: str, **more: object) -> TranscriptSegment:
    return TranscriptSegment(start_seconds=start, end_seconds=end, text=text, **more)


def times(*segments: TranscriptSegment) -> list[tuple[int, int]]:
    """Start and end of each cue, in milliseconds."""
    whole = Transcript(
        text="", language="en", duration_seconds=60.0, segments=segments, model="m", engine="e",
        device="cpu",
    )  # fmt: skip
    return [(one.start_ms, one.end_ms) for one in cues(whole)]


def test_a_cue_begins_with_its_first_word_and_ends_with_its_last() -> None:
    words = (
        TranscriptWord(text="good", start_seconds=4.05, end_seconds=4.3),
        TranscriptWord(text="morning", start_seconds=4.35, end_seconds=5.2),
    )
    for text in ("Good morning.", "good morning"):  # as it stands in the words, and normalised
        assert times(segment(0, 8, text, words=words)) == [(4050, 5200)]


def test_a_cue_does_not_stay_over_a_long_pause_nor_for_too_short_to_be_seen() -> None:
    words = (
        TranscriptWord(text="yes", start_seconds=1.0, end_seconds=1.1),
        TranscriptWord(text="but", start_seconds=4.0, end_seconds=4.1),
    )
    found = times(segment(0, 5, "yes but", words=words), segment(4.3, 6, "No."))
    assert found == [(1000, 1500), (4000, 4300), (4300, 6000)]


def test_a_cue_stays_for_seven_seconds_at_most() -> None:
    def two(seconds: float) -> TranscriptSegment:
        words = ("one", 0.0, 0.5), ("two", 1.0, seconds)
        made = [TranscriptWord(text=t, start_seconds=s, end_seconds=e) for t, s, e in words]
        return segment(0, seconds, "one two", words=tuple(made))

    assert times(two(7.0)) == [(0, 7000)]
    assert times(two(7.001)) == [(0, 500), (1000, 7001)]


def test_a_pause_of_two_seconds_ends_a_cue() -> None:
    def two(pause: float) -> TranscriptSegment:
        words = ("one", 0.0, 1.0), ("two", 1.0 + pause, 2.0 + pause)
        made = [TranscriptWord(text=t, start_seconds=s, end_seconds=e) for t, s, e in words]
        return segment(0, 2.0 + pause, "one two", words=tuple(made))

    assert times(two(1.999)) == [(0, 3999)]
    assert times(two(2.0)) == [(0, 1000), (3000, 4000)]


def test_within_a_word_every_column_takes_the_same_time() -> None:
    """Forty characters in eight seconds, behind a word of one: thirty of them until 7 s."""
    words = (
        TranscriptWord(text="x", start_seconds=0.0, end_seconds=1.0),
        TranscriptWord(text="字" * 40, start_seconds=1.0, end_seconds=9.0),
    )
    assert times(segment(0, 9, "x " + "字" * 40, words=words)) == [(0, 7000), (7000, 9000)]


def test_cues_that_begin_half_a_second_apart_follow_one_another_and_closer_ones_are_one() -> None:
    first = segment(10.0, 14.0, "One.", channel=0)
    apart = times(first, segment(10.5, 13.0, "Two.", channel=1))
    assert apart == [(10_000, 10_500), (10_500, 13_000)]
    assert times(first, segment(10.499, 13.0, "Two.", channel=1)) == [(10_000, 14_000)]


def test_a_cue_stays_for_half_a_second_where_there_is_time() -> None:
    assert times(segment(1.0, 1.1, "One.")) == [(1000, 1500)]
    assert times(segment(1.0, 1.1, "One."), segment(1.3, 2.0, "Two.")) == [
        (1000, 1300),
        (1300, 2000),
    ]
    assert times(segment(1.0, 1.0, "One.")) == [(1000, 1500)]

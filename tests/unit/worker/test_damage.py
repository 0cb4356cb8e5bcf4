"""What is told of a recording that could not be read as a whole."""

from __future__ import annotations

from asr_core.result import TranscriptWarning
from asr_worker.audio.decoding.damage import MOST_SPANS, Damage


def spans(damage: Damage) -> list[tuple[str, float, float | None]]:
    return [(told.code, told.start_seconds, told.end_seconds) for told in damage.warnings()]


def test_a_recording_without_damage_has_no_warning() -> None:
    damage = Damage()
    damage.silence(1.0, 90.0)  # a muted participant
    damage.ended(91.0, 91.4, is_cut=False)
    assert damage.warnings() == ()


def test_packets_lost_in_a_row_are_one_stretch_with_the_silence_that_fills_it() -> None:
    damage = Damage()
    for _ in range(10):
        damage.lost(4.0, 0.02)
    damage.silence(4.0, 4.3)
    damage.lost(60.0)
    damage.silence(60.02, 62.0)
    damage.ended(80.0, 80.0, is_cut=False)
    assert spans(damage) == [("damaged", 4.0, 4.3), ("damaged", 60.0, 62.0)]
    assert damage.warnings()[0].message == "The recording is damaged between 4.00 s and 4.30 s."


def test_an_end_that_is_missing_is_told_with_what_the_header_says() -> None:
    damage = Damage()
    damage.lost(5.8, 0.02)
    damage.ended(5.8, 11.9, is_cut=True)
    assert damage.warnings() == (
        TranscriptWarning(
            code="cut_off",
            message="The file ends too early, at 5.80 s; by its header it lasts 11.90 s.",
            start_seconds=5.8,
            end_seconds=11.9,
        ),
    )
    unknown = Damage()
    unknown.ended(5.8, None, is_cut=True)
    assert spans(unknown) == [("cut_off", 5.8, None)]


def test_damage_that_reaches_to_the_end_is_not_told_twice() -> None:
    damage = Damage()
    for _ in range(100):
        damage.lost(2.0, 0.1)
    damage.ended(2.0, 12.0, is_cut=False)
    assert [code for code, *_ in spans(damage)] == ["damaged"]


def test_a_part_that_cannot_be_opened_is_told_where_it_would_begin() -> None:
    damage = Damage()
    damage.unreadable(12.0, "the codec speex is not served")
    (told,) = damage.warnings()
    assert (told.code, told.start_seconds, told.end_seconds) == ("part_unreadable", 12.0, None)
    assert told.message.endswith("could not be read (the codec speex is not served).")


def test_damage_without_end_is_told_in_few_words() -> None:
    damage = Damage()
    for number in range(10_000):
        damage.lost(number * 3.0, 0.02)
        damage.unreadable(number * 3.0, "x")
    damage.ended(30_000.0, None, is_cut=False)
    told = damage.warnings()
    assert len(told) == 2 * MOST_SPANS
    assert max(warning.end_seconds or 0.0 for warning in told) > 29_990

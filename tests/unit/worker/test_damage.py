"""What is told of a recording that could not be read as a whole."""

from __future__ import annotations

import pytest

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


def lost(*stretches: tuple[float, float]) -> Damage:
    damage = Damage()
    for at, seconds in stretches:
        damage.lost(at, seconds)
    return damage


def test_damage_joins_the_stretch_before_it_if_it_is_within_half_a_second() -> None:
    assert spans(lost((1.0, 1.0), (2.5, 0.5), (9.0, 0.1))) == [
        ("damaged", 1.0, 2.5), ("damaged", 9.0, 9.1),
    ]  # fmt: skip
    assert spans(lost((1.0, 1.0), (2.6, 0.5), (3.2, 0.5))) == [
        ("damaged", 1.0, 2.0), ("damaged", 2.6, 3.6),
    ]  # fmt: skip
    assert spans(lost((1.0, 0.0), (9.0, 0.25))) == [("damaged", 9.0, 9.25)]


def test_silence_belongs_to_the_last_stretch_if_it_begins_within_half_a_second_of_it() -> None:
    for begin, end in ((10.75, 12.0), (10.8, 10.25)):
        damage = lost((1.0, 1.0), (10.0, 0.25))
        damage.silence(begin, 12.0)
        assert spans(damage) == [("damaged", 1.0, 2.0), ("damaged", 10.0, end)]


@pytest.mark.parametrize(
    ("at", "declared", "is_cut", "told"),
    [
        (5.75, 6.75, False, [("damaged", 5.5, 5.75)]),
        (5.5, 6.8, False, [("cut_off", 5.5, 6.8)]),
        (5.5, 6.75, True, [("cut_off", 5.5, 6.75)]),
        (5.5, 6.5, True, [("cut_off", 5.5, None)]),
        (5.5, None, False, [("damaged", 5.5, 5.75)]),
    ],
)
def test_half_a_packet_at_the_end_is_told_as_the_cut_that_it_is(
    at: float, declared: float | None, is_cut: bool, told: list[tuple[str, float, float | None]]
) -> None:
    damage = lost((1.0, 0.5), (5.5, 0.25))
    damage.ended(at, declared, is_cut=is_cut)
    assert spans(damage) == [("damaged", 1.0, 1.5), *told]


def test_a_cut_begins_behind_the_damage_before_it() -> None:
    damage = lost((1.0, 0.5), (5.0, 2.0))
    damage.ended(6.0, 11.0, is_cut=True)
    assert spans(damage)[-1] == ("cut_off", 7.0, 11.0)
    near = lost((1.0, 0.5), (5.0, 2.0))
    near.ended(6.0, 8.0, is_cut=True)
    assert [code for code, *_ in spans(near)] == ["damaged", "damaged"]
    far = lost((1.0, 0.5), (5.0, 2.0))
    far.ended(6.0, None, is_cut=True)
    assert spans(far)[-1] == ("cut_off", 7.0, None)


def test_times_are_told_to_a_thousandth() -> None:
    damage = lost((1.00049, 0.12345))
    damage.unreadable(4.12345, "x")
    damage.ended(9.00049, 12.12345, is_cut=True)
    assert spans(damage) == [
        ("damaged", 1.0, 1.124), ("part_unreadable", 4.123, None), ("cut_off", 9.0, 12.123),
    ]  # fmt: skip

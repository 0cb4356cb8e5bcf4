"""How wide text is, and where it may be broken."""

from __future__ import annotations

import pytest

from asr_core.subtitle_lines import (
    columns,
    columns_before,
    grapheme_starts,
    laid_out,
    one_line,
    unbroken,
)

FAMILY = "👨‍👩‍👧"  # five code points, two columns


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("abc", [0, 1, 2, 3]),
        ("a字b", [0, 1, 3, 4]),
        (f"a{FAMILY}b", [0, 1, 1, 1, 1, 1, 3, 4]),
        ("e\u0301x", [0, 0, 1, 2]),
        ("", [0]),
    ],
)
def test_a_grapheme_has_its_columns_at_its_last_character(text: str, before: list[int]) -> None:
    assert list(columns_before(text)) == before
    assert before[-1] == columns(text)


def test_a_grapheme_begins_where_a_reader_sees_one_begin() -> None:
    assert grapheme_starts(f"a{FAMILY}b") == {0, 1, 6, 7}
    assert grapheme_starts("ab") == {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("one two", ["one ", "two"]),
        ("汉字", ["汉", "字"]),
        ("汉a字", ["汉", "a", "字"]),
        ("한국 말", ["한국 ", "말"]),
        ("한a", ["한a"]),
        ("é a", ["é ", "a"]),
        ("ab é", ["ab ", "é"]),
        ("你好。他", ["你", "好。", "他"]),
        ("（你）他", ["（你）", "他"]),
        ("“你”", ["“你”"]),
        ("キャー", ["キャー"]),
        ("你  a", ["你  ", "a"]),
    ],
)
def test_lines_break_behind_spaces_and_beside_ideographs_but_not_at_marks(
    text: str, parts: list[str]
) -> None:
    assert list(unbroken(text)) == parts


def test_what_is_wider_than_a_line_is_cut_between_graphemes() -> None:
    assert list(unbroken("x" * 42)) == ["x" * 42]
    assert list(unbroken("x" * 43)) == ["x"] * 43
    assert list(unbroken("é" * 43 + " a")) == [*["é"] * 42, "é ", "a"]


def test_two_lines_are_as_equal_as_can_be_beside_a_name() -> None:
    parts = ["aaaa ", "bbbb ", "cccc ", "dddd"]
    assert laid_out(parts, 42) == ("aaaa bbbb cccc dddd",)
    assert laid_out(parts, 19) == ("aaaa bbbb cccc dddd",)
    assert laid_out(parts, 18) == ("aaaa", "bbbb cccc dddd")
    wide = ["a" * 20 + " ", "b" * 20 + " ", "c" * 20]
    assert laid_out(wide, 42) == ("a" * 20, "b" * 20 + " " + "c" * 20)
    assert laid_out(wide, 41) == ("a" * 20, "b" * 20 + " " + "c" * 20)
    assert laid_out(["a" * 30 + " ", "b" * 30], 20) == ("", "a" * 30 + " " + "b" * 30)


def test_words_that_show_nothing_are_left_out() -> None:
    assert one_line(" a\n\x00b \u2800 c\u00ad ") == "a b c\u00ad"
    assert one_line("\u00ad\u2800") == ""

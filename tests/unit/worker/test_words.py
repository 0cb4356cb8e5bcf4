"""Words out of tokens, and out of FunASR's time stamps."""

from __future__ import annotations

import pytest

from asr_worker.engines.base import Word
from asr_worker.engines.words import TimedToken, group_words, joins_without_space, timed_words


def _words(*pieces: str) -> list[tuple[str, float, float]]:
    tokens = [
        TimedToken(number, piece, number, number + 0.5, 0.5) for number, piece in enumerate(pieces)
    ]
    words = group_words(tokens, lambda ids: "".join(pieces[i] for i in ids).replace("▁", " "))
    return [(word.text, word.start_seconds, word.end_seconds) for word in words]


def test_pieces_without_a_mark_continue_the_word() -> None:
    assert _words("▁trans", "crip", "t", "▁here") == [("transcript", 0, 2.5), ("here", 3, 3.5)]


def test_apostrophes_and_punctuation_belong_to_their_word() -> None:
    assert _words("▁don", "'", "t", ".") == [("don't.", 0, 3.5)]


def test_scripts_without_spaces_have_a_word_for_each_character() -> None:
    assert [word for word, *_ in _words("▁", "欢", "迎", "▁you", "大")] == ["欢", "迎", "you", "大"]


def test_a_lone_mark_is_no_word() -> None:
    assert _words("▁", "▁yes") == [("yes", 1, 1.5)]


def test_a_words_confidence_is_the_mean_of_its_tokens() -> None:
    tokens = [TimedToken(0, "▁a", 0, 1, 0.5), TimedToken(1, "b", 1, 2, 1.0)]
    assert group_words(tokens, lambda _: "ab")[0].confidence == 0.75


def test_bytes_of_one_character_are_one_word() -> None:
    tokens = [TimedToken(i, f"<0x{i:02X}>", i, i + 1, 1.0) for i in range(3)]
    assert group_words(tokens, lambda _: "語")[0].text == "語"


@pytest.mark.parametrize(
    ("text", "names", "times", "expected"),
    [
        ("ab cd", None, [[0, 500], [600, 1000]], ("ab", "cd")),
        ("欢迎 you", None, [[0, 1], [1, 2], [2, 3]], ("欢", "迎", "you")),
        ("any text.", ["▁any", "text"], [[0, 1], [1, 2]], ("any", "text")),
        ("one two three", None, [[0, 1]], ()),
        ("", None, [], ()),
    ],
)
def test_times_are_given_to_words_only_where_their_counts_agree(
    text: str, names: list[str] | None, times: list[list[int]], expected: tuple[str, ...]
) -> None:
    assert tuple(word.text for word in timed_words(text, names, times)) == expected


def test_milliseconds_become_seconds() -> None:
    assert timed_words("a", None, [[250, 1500]]) == (Word("a", 0.25, 1.5),)


def test_only_scripts_without_spaces_join() -> None:
    assert joins_without_space("家", "欢")
    assert not joins_without_space("a", "欢")
    assert not joins_without_space("한", "국")

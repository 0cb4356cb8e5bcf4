"""How text stands on a screen: its width, where a line may be broken, and the lines of a cue. Pure.

A line is as wide as subtitle guidelines and players allow, counted in columns, of which a Chinese
character takes two. Sources: EBU-TT-D and Netflix's timed text guidelines (two lines of 42);
Unicode Standard Annexes 11 (width), 29 (graphemes), and the little that matters of 14 (breaks).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from wcwidth import iter_graphemes, width

LINE_COLUMNS: Final = 42
CUE_LINES: Final = 2

_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_BLANK: Final = re.compile("[\u00ad\u2800]")  # a column wide, and nothing to see
_HANGUL: Final = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")
_SMALL_KANA: Final = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ")


def one_line(text: str) -> str:
    """The text without line breaks, control characters and words that show nothing."""
    words = _UNPRINTABLE.sub("", text).split()
    return " ".join(word for word in words if word.isascii() or columns(_BLANK.sub("", word)))


def columns(text: str) -> int:
    """How wide it is; 0 if nothing of it shows."""
    return len(text) if text.isascii() else width(text, control_codes="ignore")


def columns_before(text: str) -> Sequence[int]:
    """How many columns stand before each character, and before the end. A grapheme has its columns
    at its last character.
    """
    if text.isascii():
        return range(len(text) + 1)
    before = [0]
    for grapheme in graphemes(text):
        before += [before[-1]] * (len(grapheme) - 1)
        before.append(before[-1] + columns(grapheme))
    return before


def graphemes(text: str) -> Iterable[str]:
    """What a reader takes for single characters, such as an emoji of several persons."""
    return text if text.isascii() else iter_graphemes(text)


def grapheme_starts(text: str) -> frozenset[int]:
    """Where each grapheme begins."""
    return frozenset(accumulate(map(len, graphemes(text)), initial=0))


def unbroken(text: str) -> Iterator[str]:
    """Parts of one line of text, each with the space behind it, between which it may be broken.

    None is wider than a line: what would be is cut between graphemes.
    """
    parts = re.findall(r"\S+\s*", text) if text.isascii() else _parts(text)
    for part in parts:
        if columns(part.rstrip()) <= LINE_COLUMNS:
            yield part
        else:
            yield from _shown_graphemes(part)


def laid_out(parts: Sequence[str], first_columns: int) -> tuple[str, ...]:
    """The parts in one line, or in two of as equal a width as can be.

    `first_columns` is the room of the first line, which may have a name before it; a first line
    without room for any part is empty.
    """
    whole = "".join(parts).strip()
    if columns(whole) <= first_columns:
        return (whole,)
    taken = LINE_COLUMNS - first_columns
    best = ("", whole)
    best_width = 2 * LINE_COLUMNS if columns(whole) > LINE_COLUMNS else LINE_COLUMNS
    for cut in range(1, len(parts)):
        first, second = "".join(parts[:cut]).rstrip(), "".join(parts[cut:]).strip()
        wider = max(taken + columns(first), columns(second))
        if wider <= LINE_COLUMNS and wider < best_width:
            best, best_width = (first, second), wider
    return best


def _parts(text: str) -> Iterator[str]:
    part: list[str] = []
    before, shows = "", False  # `shows`: something of the part does
    for grapheme in graphemes(text):
        shown = columns(grapheme) > 0
        if shown and shows and _may_break(before, grapheme):
            yield "".join(part)
            part, shows = [], False
        part.append(grapheme)
        before, shows = grapheme, shows or shown
    if part:
        yield "".join(part)


def _may_break(before: str, after: str) -> bool:
    """Behind a space, and beside characters of scripts without spaces; not before what closes a
    phrase, nor after what opens one.
    """
    if after.isspace():
        return False
    if before.isspace():
        return True
    if not (_is_ideograph(before) or _is_ideograph(after)):
        return False
    closes = unicodedata.category(after[0]) in ("Pe", "Pf", "Po", "Lm") or after in _SMALL_KANA
    return not closes and unicodedata.category(before[-1]) not in ("Ps", "Pi")


def _is_ideograph(grapheme: str) -> bool:
    """Wide, as Chinese, Japanese and emoji are; Korean has spaces."""
    return columns(grapheme) == 2 and not _HANGUL.match(grapheme)


def _shown_graphemes(part: str) -> Iterator[str]:
    """Each grapheme with the space and all that shows nothing behind it, or before the first."""
    held: list[str] = []
    shows = False
    for grapheme in graphemes(part):
        shown = columns(grapheme.strip()) > 0
        if shows and shown:
            yield "".join(held)
            held, shows = [], False
        held.append(grapheme)
        shows = shows or shown
    yield "".join(held)

"""Rendering: a transcript as plain text, SubRip, WebVTT or JSON. Pure; no I/O and no clock.

Subtitles: https://www.w3.org/TR/webvtt1/ ; SubRip has no standard, players agree on this form.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, zip_longest

from asr_core.result import Transcript, TranscriptSegment, word_starts
from asr_core.subtitle_lines import (
    CUE_LINES,
    LINE_COLUMNS,
    columns,
    columns_before,
    laid_out,
    one_line,
    unbroken,
)

CUE_MS = 7000
SHORTEST_CUE_MS = 500
# A cue does not stay over a longer pause between words, nor tell what is said after it.
PAUSE_MS = 2000

_ARROW = re.compile(r"-{2,}>")
_PAUSES = tuple(".,;:!?…。，、；：！？")
_VTT_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class ResultFormat(StrEnum):
    """How a result may be asked for."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"

    @property
    def media_type(self) -> str:
        """The Content-Type to answer with."""
        return _MEDIA_TYPES[self]


@dataclass(frozen=True, slots=True)
class CueLine:
    """One speaker's words in a cue; `voice` is empty where speakers were not separated.

    `rows` is the text in lines for the screen, with room in the first for the speaker's name.
    """

    text: str
    voice: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen from `start_ms` until just before `end_ms`."""

    start_ms: int
    end_ms: int
    lines: tuple[CueLine, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a segment's text whose time is known: from `begin` up to `end` (exclusive)."""

    begin: int
    end: int
    start_ms: int
    end_ms: int

    def ms_at(self, before: Sequence[int], offset: int) -> int:
        """When `offset` is spoken, as if every column took the same time; `before`: how many
        columns stand before each character.
        """
        if offset == self.end:
            return self.end_ms
        if offset == self.begin:
            return self.start_ms
        passed = before[offset] - before[self.begin]
        whole = before[self.end] - before[self.begin]
        return self.start_ms + (self.end_ms - self.start_ms) * passed // max(whole, 1)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a segment's text that is not broken, with the space behind it; `shown_columns` is
    its width without.
    """

    text: str
    columns: int
    shown_columns: int
    start_ms: int
    end_ms: int


def render(transcript: Transcript, form: ResultFormat) -> str:
    """Render in the given format."""
    return _RENDERERS[form](transcript)


def to_text(transcript: Transcript) -> str:
    """Render the plain text; with channels or speakers, one line for each turn."""
    if not any(voice_of(segment) for segment in transcript.segments):
        text = transcript.text.strip()
        return f"{text}\n" if text else ""
    spoken = [one for one in _in_order(transcript.segments) if one.text.strip()]
    return "".join(
        f"{_prefix(voice)}{' '.join(one_line(one.text) for one in turn)}\n"
        for voice, turn in groupby(spoken, key=voice_of)
    )


def voice_of(segment: TranscriptSegment) -> str:
    """Whose words these are: `channel 0`, `speaker A`, both, or nothing."""
    channel = "" if segment.channel is None else f"channel {segment.channel}"
    speaker = "" if segment.speaker is None else f"speaker {segment.speaker}"
    return ", ".join(filter(None, (channel, speaker)))


def to_srt(transcript: Transcript) -> str:
    """Render SubRip."""
    return "".join(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        + "".join(f"{_ARROW.sub('->', row)}\n" for one in cue.lines for row in _named_rows(one))
        + "\n"
        for number, cue in enumerate(cues(transcript), start=1)
    )


def to_vtt(transcript: Transcript) -> str:
    """Render WebVTT; a channel or a speaker is a voice."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n"
        + "".join(f"{row}\n" for one in cue.lines for row in _voiced_rows(one))
        + "\n"
        for cue in cues(transcript)
    )


def to_json(transcript: Transcript) -> str:
    """Render everything there is."""
    return transcript.model_dump_json()


def cues(transcript: Transcript) -> list[Cue]:
    """Cut the segments into cues that follow one another: none overlaps or runs backwards.

    A cue begins with its first word and ends with its last, but stays for `SHORTEST_CUE_MS` where
    there is time. A cue that the next one would overlap ends there. If it would then stay for less
    than that, as when two channels speak at once, both share one cue.
    """
    wanted = [cue for segment in transcript.segments for cue in _segment_cues(segment)]
    wanted.sort(key=lambda cue: cue.start_ms)
    shown: list[Cue] = []
    for cue in wanted:
        last = shown[-1] if shown else None
        if last is None or last.end_ms <= cue.start_ms:
            shown.append(cue)
        elif cue.start_ms - last.start_ms >= SHORTEST_CUE_MS:
            shown[-1] = Cue(last.start_ms, cue.start_ms, last.lines)
            shown.append(cue)
        else:
            end_ms = max(last.end_ms, cue.end_ms)
            shown[-1] = Cue(last.start_ms, end_ms, last.lines + cue.lines)
    return list(_long_enough(shown))


def _long_enough(shown: Sequence[Cue]) -> Iterator[Cue]:
    for cue, following in zip_longest(shown, shown[1:]):
        wanted_ms = max(cue.end_ms, cue.start_ms + SHORTEST_CUE_MS)
        end_ms = min(wanted_ms, following.start_ms) if following else wanted_ms
        yield Cue(cue.start_ms, end_ms, cue.lines)


def _segment_cues(segment: TranscriptSegment) -> Iterator[Cue]:
    voice = voice_of(segment)
    room = LINE_COLUMNS - columns(_prefix(voice))
    for group in _groups(_parts(segment), room):
        texts = [part.text for part in group]
        line = CueLine("".join(texts).strip(), voice, laid_out(texts, room))
        yield Cue(group[0].start_ms, max(group[-1].end_ms, group[0].start_ms + 1), (line,))


def _groups(parts: Iterable[_Part], room: int) -> Iterator[list[_Part]]:
    """Fill cue after cue as far as lines and time allow, and rather end one after a comma."""
    group: list[_Part] = []
    for part in parts:
        if group and part.start_ms - group[-1].end_ms >= PAUSE_MS:
            yield group
            group = []
        while group and not _fits([*group, part], room):
            cut = _best_cut(group)
            yield group[:cut]
            group = group[cut:]
        group.append(part)
    if group:
        yield group


def _fits(group: Sequence[_Part], room: int) -> bool:
    """Whether the parts find place in the lines of one cue, and are spoken while it may stay."""
    if group[-1].end_ms - group[0].start_ms > CUE_MS:
        return False
    lines, left = 1, room
    for part in group:
        if part.shown_columns > left:
            lines, left = lines + 1, LINE_COLUMNS
        left -= part.columns
    return lines <= CUE_LINES


def _best_cut(group: Sequence[_Part]) -> int:
    """Find the last pause written in the second half of the group, or take all of it."""
    for cut in range(len(group), len(group) // 2, -1):
        if group[cut - 1].text.rstrip().endswith(_PAUSES):
            return cut
    return len(group)


def _parts(segment: TranscriptSegment) -> Iterator[_Part]:
    """The parts of the text that are not broken, and when each is spoken."""
    text = one_line(segment.text)
    pieces = _word_pieces(segment, text) or [_Piece(0, len(text), *_spoken_ms(segment))]
    begins = [piece.begin for piece in pieces]
    before = columns_before(text)
    begin = 0
    for part in unbroken(text):
        end = begin + len(part)
        first = pieces[bisect_right(begins, begin) - 1]
        last = pieces[bisect_right(begins, end - 1) - 1]
        start_ms, end_ms = first.ms_at(before, begin), last.ms_at(before, end)
        yield _Part(part, columns(part), columns(part.rstrip()), start_ms, end_ms)
        begin = end


def _word_pieces(segment: TranscriptSegment, text: str) -> list[_Piece]:
    """The text from each word to the next; empty if the words do not stand in it in this order."""
    shown = [(one_line(word.text), word) for word in segment.words]
    words = [(written, word) for written, word in shown if written]
    starts = word_starts(text, [written for written, _ in words])
    if not starts:
        return []
    pieces: list[_Piece] = []
    earliest_ms = 0
    bounds = zip([0, *starts[1:]], [*starts[1:], len(text)], strict=True)
    for (_, word), (begin, end) in zip(words, bounds, strict=True):
        earliest_ms = max(earliest_ms, _ms(word.start_seconds))
        end_ms = max(earliest_ms, _ms(word.end_seconds))
        pieces.append(_Piece(begin, end, earliest_ms, end_ms))
    return pieces


def _spoken_ms(segment: TranscriptSegment) -> tuple[int, int]:
    """From the first word to the last, if they are within the segment; else all of it."""
    start_ms = _ms(segment.start_seconds)
    end_ms = max(_ms(segment.end_seconds), start_ms + 1)
    if segment.words:
        first_ms, last_ms = _ms(segment.words[0].start_seconds), _ms(segment.words[-1].end_seconds)
        if start_ms <= first_ms < last_ms <= end_ms:
            return first_ms, last_ms
    return start_ms, end_ms


def _in_order(segments: Iterable[TranscriptSegment]) -> list[TranscriptSegment]:
    return sorted(segments, key=lambda segment: segment.start_seconds)


def _prefix(voice: str) -> str:
    return f"[{voice}] " if voice else ""


def _named_rows(line: CueLine) -> Iterator[str]:
    first, *others = line.rows
    yield f"{_prefix(line.voice)}{first}".rstrip()
    yield from others


def _voiced_rows(line: CueLine) -> Iterator[str]:
    for row in filter(None, line.rows):
        text = "".join(_VTT_ESCAPES.get(one, one) for one in row)
        yield f"<v {line.voice[0].upper()}{line.voice[1:]}>{text}</v>" if line.voice else text


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _clock(ms: int, point: str) -> str:
    """Format whole milliseconds, so that no part can round up past its place."""
    seconds, millis = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{millis:03}"


_RENDERERS: Mapping[ResultFormat, Callable[[Transcript], str]] = {
    ResultFormat.JSON: to_json,
    ResultFormat.TEXT: to_text,
    ResultFormat.SRT: to_srt,
    ResultFormat.VTT: to_vtt,
}
_MEDIA_TYPES: Mapping[ResultFormat, str] = {
    ResultFormat.JSON: "application/json",
    ResultFormat.TEXT: "text/plain; charset=utf-8",
    ResultFormat.SRT: "application/x-subrip; charset=utf-8",
    ResultFormat.VTT: "text/vtt; charset=utf-8",
}

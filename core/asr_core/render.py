"""Rendering: a transcript as plain text, SubRip, WebVTT or JSON. Pure; no I/O and no clock.

Subtitles: https://www.w3.org/TR/webvtt1/ ; SubRip has no standard, players agree on this form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from asr_core.result import Transcript, TranscriptSegment, word_starts

CUE_COLUMNS = 84  # two lines of 42, what subtitle guidelines allow; a Chinese character takes two
CUE_MS = 7000
SHORTEST_CUE_MS = 500

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff]")
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
    """One voice's words in a cue; `voice` is empty where nobody was told apart."""

    text: str
    voice: str


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen from `start_ms` until just before `end_ms`."""

    start_ms: int
    end_ms: int
    lines: tuple[CueLine, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a segment's text that is not broken, with what follows it up to the next."""

    text: str
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
        f"{_prefix(voice)}{' '.join(_one_line(one.text) for one in turn)}\n"
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
        + "".join(f"{_prefix(one.voice)}{_ARROW.sub('->', one.text)}\n" for one in cue.lines)
        + "\n"
        for number, cue in enumerate(cues(transcript), start=1)
    )


def to_vtt(transcript: Transcript) -> str:
    """Render WebVTT; a channel or a speaker is a voice."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n"
        + "".join(f"{_voiced(one)}\n" for one in cue.lines)
        + "\n"
        for cue in cues(transcript)
    )


def to_json(transcript: Transcript) -> str:
    """Render everything there is."""
    return transcript.model_dump_json()


def cues(transcript: Transcript) -> list[Cue]:
    """Cut the segments into cues that follow one another: none overlaps or runs backwards.

    A cue that the next one would overlap ends there. If it would then stay for less than
    `SHORTEST_CUE_MS`, as when two channels speak at once, both share one cue.
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
    return shown


def _segment_cues(segment: TranscriptSegment) -> Iterator[Cue]:
    text = _one_line(segment.text)
    if not text:
        return
    start_ms = _ms(segment.start_seconds)
    end_ms = max(_ms(segment.end_seconds), start_ms + 1)
    if _columns(text) <= CUE_COLUMNS and end_ms - start_ms <= CUE_MS:
        yield Cue(start_ms, end_ms, (CueLine(text, voice_of(segment)),))
        return
    pieces = _word_pieces(segment, text) or _even_pieces(text, start_ms, end_ms)
    for group in _groups(short for piece in pieces for short in _shortened(piece)):
        line = CueLine("".join(piece.text for piece in group).strip(), voice_of(segment))
        yield Cue(group[0].start_ms, max(group[-1].end_ms, group[0].start_ms + 1), (line,))


def _groups(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Fill cue after cue as far as width and time allow, and rather end one after a comma."""
    group: list[_Piece] = []
    for piece in pieces:
        while group and not _fits([*group, piece]):
            cut = _best_cut(group)
            yield group[:cut]
            group = group[cut:]
        group.append(piece)
    if group:
        yield group


def _fits(group: list[_Piece]) -> bool:
    if group[-1].end_ms - group[0].start_ms > CUE_MS:
        return False
    return _columns("".join(piece.text for piece in group).rstrip()) <= CUE_COLUMNS


def _best_cut(group: list[_Piece]) -> int:
    """Find the last pause written in the second half of the group, or take all of it."""
    for cut in range(len(group), len(group) // 2, -1):
        if group[cut - 1].text.rstrip().endswith(_PAUSES):
            return cut
    return len(group)


def _word_pieces(segment: TranscriptSegment, text: str) -> list[_Piece]:
    """Cut the text before each word; empty if the words do not stand in it in this order."""
    starts = word_starts(text, [_one_line(word.text) for word in segment.words])
    if not starts:
        return []
    pieces: list[_Piece] = []
    earliest_ms = 0
    for word, begin, end in zip(
        segment.words, [0, *starts[1:]], [*starts[1:], len(text)], strict=True
    ):
        earliest_ms = max(earliest_ms, _ms(word.start_seconds))
        end_ms = max(earliest_ms, _ms(word.end_seconds))
        pieces.append(_Piece(text[begin:end], earliest_ms, end_ms))
    return pieces


def _even_pieces(text: str, start_ms: int, end_ms: int) -> list[_Piece]:
    """Cut where a line may break, as if every column took the same time."""
    return list(_spread(re.findall(r"\S+\s*", text), start_ms, end_ms))


def _shortened(piece: _Piece) -> Iterator[_Piece]:
    """Cut what is wider than a cue, such as a sentence in Chinese, character by character."""
    if _columns(piece.text) <= CUE_COLUMNS:
        yield piece
    else:
        yield from _spread(re.findall(r"\S\s*", piece.text), piece.start_ms, piece.end_ms)


def _spread(texts: list[str], start_ms: int, end_ms: int) -> Iterator[_Piece]:
    total = sum(map(_columns, texts)) or 1
    passed = 0
    for text in texts:
        begin_ms = start_ms + (end_ms - start_ms) * passed // total
        passed += _columns(text)
        yield _Piece(text, begin_ms, start_ms + (end_ms - start_ms) * passed // total)


def _columns(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _one_line(text: str) -> str:
    return " ".join(_UNPRINTABLE.sub("", text).split())


def _in_order(segments: Iterable[TranscriptSegment]) -> list[TranscriptSegment]:
    return sorted(segments, key=lambda segment: segment.start_seconds)


def _prefix(voice: str) -> str:
    return f"[{voice}] " if voice else ""


def _voiced(line: CueLine) -> str:
    text = "".join(_VTT_ESCAPES.get(one, one) for one in line.text)
    if not line.voice:
        return text
    return f"<v {line.voice[0].upper()}{line.voice[1:]}>{text}</v>"


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

"""Who speaks when, from the voices of a whole recording.

A segment in which the speaker changes is cut between two words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np

from asr_core.result import word_starts
from asr_core.subtitle_lines import grapheme_starts
from asr_worker.audio.pcm import SAMPLE_RATE
from asr_worker.audio.segments import Span
from asr_worker.engines.clustering import smoothed_turns
from asr_worker.transcript.segment_result import SegmentResult

# Channels follow one another, so far apart that no turn spans two.
_APART_SECONDS: Final = 1e6


@dataclass(frozen=True)
class Turn:
    """A stretch of one channel in which one speaker speaks; speaker 0 is the recording's first."""

    channel: int
    start_seconds: float
    end_seconds: float
    speaker: int

    def seconds_in(self, start_seconds: float, end_seconds: float) -> float:
        """How much of it lies between the two."""
        return min(self.end_seconds, end_seconds) - max(self.start_seconds, start_seconds)


def turns_of(placed: Iterable[SegmentResult]) -> list[Turn]:
    """All turns in order of time. The same each time; nothing where no voice was heard."""
    heard = sorted(
        ((_seconds(part), voice) for part in placed for voice in part.said.voices),
        key=lambda each: each[0] + each[1].start_seconds,
    )
    if not heard:
        return []
    windows = [(at + voice.start_seconds, at + voice.end_seconds) for at, voice in heard]
    smoothed = smoothed_turns(windows, np.stack([voice.embedding for _, voice in heard]))
    turns = [_turn(*turn) for turn in smoothed]
    turns.sort(key=lambda turn: (turn.start_seconds, turn.channel))
    order = {label: n for n, label in enumerate(dict.fromkeys(turn.speaker for turn in turns))}
    return [replace(turn, speaker=order[turn.speaker]) for turn in turns]


def split_by_speaker(
    part: SegmentResult, turns: Sequence[Turn]
) -> list[tuple[SegmentResult, int | None]]:
    """What each speaker says of a segment, in order. It stays whole, and is the one's who speaks
    longest in it, where its words are not known or do not make up its text.
    """
    span, channel = part.span, part.channel or 0
    own = [turn for turn in turns if turn.channel == channel]
    if not own:
        return [(part, None)]
    near = [turn for turn in own if turn.seconds_in(span.start_seconds, span.end_seconds) > 0]
    if len({turn.speaker for turn in near}) < 2:
        return [(part, _speaker_at(near or own, span.start_seconds))]
    starts = word_starts(part.said.text, [word.text for word in part.said.words])
    if not starts:
        return [(part, _longest(near, span))]
    speakers = [
        _speaker_at(near, span.start_seconds + (word.start_seconds + word.end_seconds) / 2)
        for word in part.said.words
    ]
    whole = grapheme_starts(part.said.text)
    for number, start in enumerate(starts):
        if start not in whole:  # a vowel sign, say, that the model took for a word
            speakers[number] = speakers[max(number - 1, 0)]
    runs = [list(run) for _, run in groupby(range(len(speakers)), key=speakers.__getitem__)]
    return [(_piece(part, starts, run[0], run[-1] + 1), speakers[run[0]]) for run in runs]


def _piece(part: SegmentResult, starts: Sequence[int], first: int, end: int) -> SegmentResult:
    """Words `first` to `end` (exclusive) of a segment, as a segment of its own."""
    said, words = part.said, part.said.words
    is_last = end == len(words)
    text = said.text[starts[first] if first else 0 : None if is_last else starts[end]]
    offset = words[first].start_seconds if first else 0.0
    begin = part.span.start + round(offset * SAMPLE_RATE)
    stop = part.span.end
    if not is_last:
        stop = min(part.span.start + round(words[end - 1].end_seconds * SAMPLE_RATE), stop)
    moved = tuple(
        replace(
            word,
            start_seconds=word.start_seconds - offset,
            end_seconds=word.end_seconds - offset,
        )
        for word in words[first:end]
    )
    return SegmentResult(
        Span(begin, max(stop, begin)), part.channel, replace(said, text=text.strip(), words=moved)
    )


def _speaker_at(turns: Sequence[Turn], seconds: float) -> int:
    """Whose turn it is, or whose is nearest."""
    return min(
        turns, key=lambda turn: max(turn.start_seconds - seconds, seconds - turn.end_seconds, 0.0)
    ).speaker


def _longest(turns: Sequence[Turn], span: Span) -> int:
    seconds: dict[int, float] = {}
    for turn in turns:
        lasting = turn.seconds_in(span.start_seconds, span.end_seconds)
        seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + lasting
    return max(seconds, key=seconds.__getitem__)


def _seconds(part: SegmentResult) -> float:
    return (part.channel or 0) * _APART_SECONDS + part.span.start_seconds


def _turn(start: float, end: float, label: int) -> Turn:
    channel = int(start // _APART_SECONDS)
    begin = channel * _APART_SECONDS
    return Turn(channel, start - begin, end - begin, label)

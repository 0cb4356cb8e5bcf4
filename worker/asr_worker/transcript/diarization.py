"""Speaker turns, from the speaker embeddings of a whole recording.

A segment in which the speaker changes is split between two words.
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

# Channels are laid out one after another, so far apart that no turn spans two.
_APART_SECONDS: Final = 1e6


@dataclass(frozen=True)
class Turn:
    """A span of one channel with one speaker; speaker 0 is the first in the recording."""

    channel: int
    start_seconds: float
    end_seconds: float
    speaker: int

    def seconds_in(self, start_seconds: float, end_seconds: float) -> float:
        """Seconds of the turn between the two times; negative if it does not overlap."""
        return min(self.end_seconds, end_seconds) - max(self.start_seconds, start_seconds)


def turns_of(results: Iterable[SegmentResult]) -> list[Turn]:
    """All turns in order of time; deterministic. Empty without speaker embeddings."""
    embeddings = sorted(
        ((_seconds(part), each) for part in results for each in part.recognized.speaker_embeddings),
        key=lambda each: each[0] + each[1].start_seconds,
    )
    if not embeddings:
        return []
    windows = [(at + each.start_seconds, at + each.end_seconds) for at, each in embeddings]
    smoothed = smoothed_turns(windows, np.stack([each.embedding for _, each in embeddings]))
    turns = [_turn(*turn) for turn in smoothed]
    turns.sort(key=lambda turn: (turn.start_seconds, turn.channel))
    order = {label: n for n, label in enumerate(dict.fromkeys(turn.speaker for turn in turns))}
    return [replace(turn, speaker=order[turn.speaker]) for turn in turns]


def split_by_speaker(
    part: SegmentResult, turns: Sequence[Turn]
) -> list[tuple[SegmentResult, int | None]]:
    """The segment's parts by speaker, in order. Where its words are unknown or do not make up its
    text, it stays whole and belongs to the speaker who speaks longest in it.
    """
    span, channel = part.span, part.channel or 0
    own = [turn for turn in turns if turn.channel == channel]
    if not own:
        return [(part, None)]
    near = [turn for turn in own if turn.seconds_in(span.start_seconds, span.end_seconds) > 0]
    if len({turn.speaker for turn in near}) < 2:
        return [(part, _speaker_at(near or own, span.start_seconds))]
    starts = word_starts(part.recognized.text, [word.text for word in part.recognized.words])
    if not starts:
        return [(part, _longest(near, span))]
    speakers = [
        _speaker_at(near, span.start_seconds + (word.start_seconds + word.end_seconds) / 2)
        for word in part.recognized.words
    ]
    whole = grapheme_starts(part.recognized.text)
    for number, start in enumerate(starts):
        if start not in whole:  # a vowel sign, say, that the model took for a word
            speakers[number] = speakers[max(number - 1, 0)]
    runs = [list(run) for _, run in groupby(range(len(speakers)), key=speakers.__getitem__)]
    return [(_piece(part, starts, run[0], run[-1] + 1), speakers[run[0]]) for run in runs]


def _piece(part: SegmentResult, starts: Sequence[int], first: int, end: int) -> SegmentResult:
    """Words `first` to `end` (exclusive) of a segment, as a segment of its own."""
    recognized, words = part.recognized, part.recognized.words
    is_last = end == len(words)
    text = recognized.text[starts[first] if first else 0 : None if is_last else starts[end]]
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
        Span(begin, max(stop, begin)),
        part.channel,
        replace(recognized, text=text.strip(), words=moved),
    )


def _speaker_at(turns: Sequence[Turn], seconds: float) -> int:
    """The speaker of the turn at this time, or of the nearest one."""
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

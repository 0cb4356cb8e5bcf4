"""Assembles the results of a task's segments to one transcript, in the recording's time.

Pure: segment results in, the result model out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from asr_core.options import TaskOptions
from asr_core.result import Transcript, TranscriptSegment, TranscriptWarning, TranscriptWord
from asr_worker.audio.segments import Span
from asr_worker.engines.base import Engine, Word
from asr_worker.engines.words import joins_without_space
from asr_worker.transcript.diarization import split_by_speaker, turns_of
from asr_worker.transcript.segment_result import SegmentResult


def assemble(
    results: Iterable[SegmentResult],
    *,
    duration_seconds: float,
    engine: Engine,
    options: TaskOptions,
    warnings: tuple[TranscriptWarning, ...] = (),
    speech_seconds: float | None = None,
) -> Transcript:
    """The whole result of one task. Segments without text are left out."""
    spoken = sorted(
        (part for part in results if part.recognized.text),
        key=lambda part: (part.span.start, -1 if part.channel is None else part.channel),
    )
    return Transcript(
        text=join_texts([part.recognized.text for part in spoken]),
        language=_language(spoken),
        duration_seconds=round(duration_seconds, 3),
        speech_seconds=speech_seconds,
        segments=tuple(_segments(spoken)),
        model=engine.model_id,
        engine=engine.name,
        device=engine.device,
        options_ignored=options.unheeded(engine.supports, engine.languages),
        warnings=warnings,
    )


def join_texts(texts: Sequence[str]) -> str:
    """Texts one after another; no space between two that are written without spaces."""
    joined = ""
    for text in texts:
        joined += glue(joined, text) + text
    return joined


def glue(before: str, text: str) -> str:
    """The separator between `before` and `text`: a space, or nothing."""
    return "" if not before or joins_without_space(before[-1], text[0]) else " "


def _segments(spoken: Sequence[SegmentResult]) -> Iterator[TranscriptSegment]:
    """Segments in order; with speakers, one for each turn."""
    turns = turns_of(spoken)
    for part in spoken:
        for piece, speaker in split_by_speaker(part, turns):
            yield _segment(piece, None if speaker is None else speaker_name(speaker))


def speaker_name(speaker: int) -> str:
    """`A` for the first to speak, `B` for the second."""
    return chr(ord("A") + speaker)


def _segment(part: SegmentResult, speaker: str | None) -> TranscriptSegment:
    recognized = part.recognized
    return TranscriptSegment(
        start_seconds=round(part.span.start_seconds, 3),
        end_seconds=round(part.span.end_seconds, 3),
        text=recognized.text,
        channel=part.channel,
        speaker=speaker,
        language=recognized.language,
        emotion=recognized.emotion,
        events=recognized.events,
        words=tuple(_word(word, part.span) for word in recognized.words),
        avg_logprob=_rounded(recognized.avg_logprob),
        no_speech_prob=_rounded(recognized.no_speech_prob),
        compression_ratio=_rounded(recognized.compression_ratio),
        temperature=recognized.temperature,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _word(word: Word, span: Span) -> TranscriptWord:
    """The word in the recording's time, never beyond its span."""
    start = min(span.start_seconds + word.start_seconds, span.end_seconds)
    end = min(max(span.start_seconds + word.end_seconds, start), span.end_seconds)
    return TranscriptWord(
        text=word.text,
        start_seconds=round(start, 3),
        end_seconds=round(end, 3),
        confidence=_rounded(word.confidence),
    )


def _language(spoken: Sequence[SegmentResult]) -> str | None:
    """The language with the longest total duration."""
    seconds: Counter[str] = Counter()
    for part in spoken:
        if part.recognized.language is not None:
            seconds[part.recognized.language] += part.span.end - part.span.start
    return max(seconds, key=seconds.__getitem__) if seconds else None

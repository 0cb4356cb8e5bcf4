"""Transcripts in OpenAI's response formats: `openai.types.audio.transcription*`. Pure."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

from asr_api.openai_contract.parameters import Granularity, ResponseFormat, TranscriptionRequest
from asr_core.render import ResultFormat, render
from asr_core.result import Transcript, TranscriptSegment

JSON_TYPE = "application/json"
_NAMES = {"zh": "chinese", "en": "english", "yue": "cantonese", "ja": "japanese", "ko": "korean"}
_SEEK_PER_SECOND = 100  # Whisper counts frames of 10 ms


def reply_body(transcript: Transcript, request: TranscriptionRequest) -> tuple[str, str]:
    """The body and its media type."""
    match request.response_format:
        case ResponseFormat.JSON:
            body = {"text": transcript.text, "usage": usage(transcript)}
            return _json(body), JSON_TYPE
        case ResponseFormat.VERBOSE_JSON:
            return _json(_verbose(transcript, request)), JSON_TYPE
        case ResponseFormat.DIARIZED_JSON:
            return _json(_diarized(transcript)), JSON_TYPE
        case other:
            form = ResultFormat(other.value)
            return render(transcript, form), form.media_type


def usage(transcript: Transcript) -> dict[str, Any]:
    """What was transcribed."""
    return {"type": "duration", "seconds": transcript.duration_seconds}


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _verbose(transcript: Transcript, request: TranscriptionRequest) -> dict[str, Any]:
    """Segments by default, as OpenAI does. The language of a translation is that of its text."""
    granularities = request.granularities
    language = "en" if request.translates else transcript.language or "unknown"
    body: dict[str, Any] = {
        "task": request.options.task,
        "language": _NAMES.get(language, language),
        "duration": float(transcript.duration_seconds),
        "text": transcript.text,
        "usage": usage(transcript),
    }
    if not granularities or Granularity.SEGMENT in granularities:
        body["segments"] = [
            _segment(number, segment) for number, segment in enumerate(transcript.segments)
        ]
    if Granularity.WORD in granularities:
        body["words"] = [
            {"word": word.text, "start": word.start_seconds, "end": word.end_seconds}
            for segment in transcript.segments
            for word in segment.words
        ]
    return body


def _diarized(transcript: Transcript) -> dict[str, Any]:
    return {
        "task": "transcribe",
        "duration": float(transcript.duration_seconds),
        "text": transcript.text,
        "segments": [
            {
                "id": f"seg_{number}",
                "type": "transcript.text.segment",
                "speaker": segment.speaker or "",
                "start": segment.start_seconds,
                "end": segment.end_seconds,
                "text": segment.text,
            }
            for number, segment in enumerate(transcript.segments)
        ],
        "usage": usage(transcript),
    }


def _segment(number: int, segment: TranscriptSegment) -> dict[str, Any]:
    """Measures of Whisper's decoder are the worker's, where its model has them; of others they are
    0, or reckoned from the text and its words.
    """
    return {
        "id": number,
        "seek": round(segment.start_seconds * _SEEK_PER_SECOND),
        "start": segment.start_seconds,
        "end": segment.end_seconds,
        "text": segment.text,
        "tokens": [],
        "temperature": _known(segment.temperature, 0.0),
        "avg_logprob": _known(segment.avg_logprob, _mean_logprob(segment)),
        "compression_ratio": _known(segment.compression_ratio, _compression_ratio(segment.text)),
        "no_speech_prob": _known(segment.no_speech_prob, 0.0),
    }


def _known(measured: float | None, otherwise: float) -> float:
    return otherwise if measured is None else measured


def _compression_ratio(text: str) -> float:
    """As Whisper's: high where the text repeats itself."""
    written = text.encode()
    return round(len(written) / len(zlib.compress(written)), 4)


def _mean_logprob(segment: TranscriptSegment) -> float:
    """Of the words whose confidence is known."""
    known = [word.confidence for word in segment.words if word.confidence]
    return round(sum(map(math.log, known)) / len(known), 4) if known else 0.0

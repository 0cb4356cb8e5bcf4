"""The contract as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any

from asr_api.openai_contract.parameters import TEMPERATURE_MAX, Granularity, ResponseFormat
from asr_api.submission.schema import form_property
from asr_core.options import OPTIONS
from asr_core.text_limits import CHUNKING, HOTWORD, HOTWORDS_MAX, MODEL, PROMPT

_USAGE = {"type": "duration", "seconds": 1.2}
_STREAM = (
    'data: {"type": "transcript.text.delta", "delta": "Good morning."}\n\n'
    'data: {"type": "transcript.text.done", "text": "Good morning.", '
    '"usage": {"type": "duration", "seconds": 1.2}}\n\n'
)
_EVENT = {
    "type": "object",
    "description": "one event; `data` is JSON",
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
}
EXAMPLES: dict[str, Any] = {
    "application/json": {"example": {"text": "Good morning.", "usage": _USAGE}},
    "text/plain": {"example": "Good morning."},
    "application/x-subrip": {"example": "1\n00:00:00,000 --> 00:00:01,200\nGood morning.\n"},
    "text/vtt": {"example": "WEBVTT\n\n00:00:00.000 --> 00:00:01.200\nGood morning.\n"},
    "text/event-stream": {"schema": _EVENT, "example": _STREAM},
}
_FORMATS = [form.value for form in ResponseFormat]
_WORDS = {"type": "array", "maxItems": HOTWORDS_MAX, "items": HOTWORD.schema()}
_TRACK = form_property(OPTIONS["track"])
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file", "model"],
    "additionalProperties": True,
    "description": "fields of other names are taken, and told in `x-asr-options-ignored`",
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "the recording"},
        "model": MODEL.schema(
            description="a name of `/v1/models`; OpenAI's own names and FunASR's are understood"
        ),
        "language": {**form_property(OPTIONS["language"]), "examples": ["en"]},
        "prompt": PROMPT.schema(
            description="phrases to favour, where the model favours any; told apart by their "
            f"punctuation, and of {HOTWORD.words}, or not heeded"
        ),
        "keywords[]": {**_WORDS, "description": "as `prompt`, one by one"},
        "response_format": {
            "type": "string",
            "enum": _FORMATS,
            "default": "json",
            "description": "diarized_json where the model tells speakers apart",
        },
        "timestamp_granularities[]": {
            "type": "array",
            "items": {"type": "string", "enum": [one.value for one in Granularity]},
            "description": "with verbose_json only",
        },
        "stream": {"type": "boolean", "default": False, "description": "with json or text only"},
        "temperature": {
            "type": "number",
            "minimum": 0,
            "maximum": TEMPERATURE_MAX,
            "default": 0,
            "description": "decoding is not random: others than 0 are not heeded",
        },
        "chunking_strategy": CHUNKING.schema(
            default="auto",
            description="audio is cut at its quiet points: others than auto are not heeded",
        ),
        "track": {
            **_TRACK,
            "description": f"not of OpenAI's contract: {_TRACK['description']}",
        },
    },
}
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": _FORM,
            "examples": {
                "subtitles": {
                    "value": {"file": "(talk.mp3)", "model": "whisper-1", "response_format": "srt"}
                }
            },
        }
    },
}

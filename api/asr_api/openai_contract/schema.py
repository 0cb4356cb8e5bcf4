"""The contract as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any

from asr_api.http.model_notice import NOTICE_HEADERS
from asr_api.openai_contract.parameters import (
    TEMPERATURE_MAX,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    Endpoint,
    Granularity,
    ResponseFormat,
)
from asr_api.submission.schema import form_property
from asr_core.options import OPTIONS
from asr_core.text_limits import CHUNKING, HOTWORD, HOTWORDS_MAX, MODEL, PROMPT, PROMPT_FIELD

IGNORED_HEADER = "x-asr-options-ignored"
_SSE = "text/event-stream"
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
_EXAMPLES: dict[str, Any] = {
    "application/json": {"example": {"text": "Good morning.", "usage": _USAGE}},
    "text/plain": {"example": "Good morning."},
    "application/x-subrip": {"example": "1\n00:00:00,000 --> 00:00:01,200\nGood morning.\n"},
    "text/vtt": {"example": "WEBVTT\n\n00:00:00.000 --> 00:00:01.200\nGood morning.\n"},
    _SSE: {"schema": _EVENT, "example": _STREAM},
}
_WORDS = {"type": "array", "maxItems": HOTWORDS_MAX, "items": HOTWORD.schema()}
_TRACK = form_property(OPTIONS["track"])
_FIELDS: dict[str, Any] = {
    "model": MODEL.schema(
        description="a name of `/v1/models`; names that clients hard-code are understood, such as "
        "`whisper-1`"
    ),
    "language": {**form_property(OPTIONS["language"]), "examples": ["en"]},
    "prompt": PROMPT_FIELD.schema(
        description="text to follow, where the model reads prompts, of which the last "
        f"{PROMPT.characters} characters are kept; else phrases to favour, told apart by their "
        f"punctuation, and of {HOTWORD.words}, or not heeded"
    ),
    "keywords[]": {**_WORDS, "description": "phrases to favour, where the model favours any"},
    "response_format": {
        "type": "string",
        "enum": [form.value for form in ResponseFormat],
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
}
_OF_TRANSLATIONS: dict[str, Any] = {
    "response_format": {
        "type": "string",
        "enum": [form.value for form in ResponseFormat if form is not ResponseFormat.DIARIZED_JSON],
        "default": "json",
    },
    "stream": {"type": "boolean", "enum": [False], "description": "a translation is not streamed"},
}


def request_body(endpoint: Endpoint) -> dict[str, Any]:
    """The form of an endpoint."""
    own = _OF_TRANSLATIONS if endpoint is TRANSLATIONS else {}
    fields = {name: {**_FIELDS, **own}[name] for name in _FIELDS if name in endpoint.text_fields}
    form = {
        "type": "object",
        "required": ["file", "model"],
        "additionalProperties": True,
        "description": f"fields of other names are taken, and told in `{IGNORED_HEADER}`",
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "the recording"},
            **fields,
        },
    }
    example = {"file": "(talk.mp3)", "model": "whisper-1", "response_format": "srt"}
    content = {"schema": form, "examples": {"subtitles": {"value": example}}}
    return {"required": True, "content": {"multipart/form-data": content}}


def replies(endpoint: Endpoint) -> dict[str, Any]:
    """What an endpoint answers."""
    told = {
        "description": "fields that were not heeded; left out where there are none",
        "schema": {"type": "string", "examples": ["temperature, prompt"]},
    }
    streams = endpoint is TRANSCRIPTIONS
    return {
        "description": "The text, in the form that was asked for",
        "content": {kind: one for kind, one in _EXAMPLES.items() if streams or kind != _SSE},
        "headers": {**NOTICE_HEADERS, IGNORED_HEADER: told},
    }

"""What goes to a server of OpenAI's transcription contract, and what comes back. Pure.

Fields: `openai.types.audio`, `transcription_create_params` and `transcription_verbose`.
"""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from asr_core.languages import language_code
from asr_core.options import TaskOptions
from asr_worker.audio.pcm import SAMPLE_RATE, FloatArray
from asr_worker.engines.base import SegmentText, Word
from asr_worker.engines.tags import TAG, parse_tags

Form = Mapping[str, str | Sequence[str]]
# Qwen3-ASR writes `language English<asr_text>` before its text, and vLLM passes that on.
_PREAMBLE: Final = re.compile(r"\s*language ([A-Za-z ]{2,32})<asr_text>")
LEAST_SECONDS: Final = 0.5
# Statuses that a server gives for what is in the request, not for how it is at the moment.
_REFUSALS: Final = frozenset({400, 413, 415, 422})


class Detail(StrEnum):
    """How much a server is asked to tell of a text; not every server can tell all."""

    WORDS = "words"
    LANGUAGE = "language"
    TEXT = "text"


_DETAIL_FIELDS: Final[Mapping[Detail, Form]] = {
    Detail.WORDS: {
        "response_format": "verbose_json",
        "timestamp_granularities[]": ("word", "segment"),
    },
    Detail.LANGUAGE: {"response_format": "verbose_json"},
    Detail.TEXT: {"response_format": "json"},
}


class Kind(StrEnum):
    """What a request that brought no text says: of the server, or of what was sent."""

    AWAY = "away"  # not reachable, or starting
    BUSY = "busy"  # reachable, and asks for patience
    MISCONFIGURED = "misconfigured"  # refuses whoever asks: key, model, path
    FAILED = "failed"  # broke down over this request, or answered nonsense
    REFUSED = "refused"  # takes this request for invalid


@dataclass(frozen=True)
class Failure:
    """A request that brought no text. `reason` is for logs: it may quote the server."""

    kind: Kind
    reason: str
    retry_after_seconds: float | None = None
    status: int | None = None

    @property
    def cannot_answer(self) -> bool:
        """Whether the server is there and says that it has no answer to such a request."""
        return self.status is not None and self.kind in (Kind.REFUSED, Kind.FAILED)


def failure_of(status: int, body: bytes, retry_after: str) -> Failure:
    """What a status other than 200 means."""
    reason = f"status {status}{_quoted(body)}"
    if status in _REFUSALS:
        kind = Kind.REFUSED
    elif status in (408, 425, 429):
        kind = Kind.BUSY
    elif status in (502, 503):
        kind = Kind.AWAY
    else:
        kind = Kind.FAILED if status >= 500 else Kind.MISCONFIGURED
    return Failure(kind, reason, _seconds(retry_after), status)


def base_url(url: str) -> str:
    """With and without `/v1`, as clients of OpenAI and as people write it."""
    bare = url.rstrip("/")
    return bare if bare.endswith("/v1") else f"{bare}/v1"


def wav_of(pcm: FloatArray) -> bytes:
    """A WAV file of 16 bits of mono samples in [-1, 1) at 16 kHz; silence follows what is short, as
    OpenAI refuses less than a tenth of a second.
    """
    missing = max(0, round(LEAST_SECONDS * SAMPLE_RATE) - len(pcm))
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.clip(np.rint(pcm * 32768), -32768, 32767).astype("<i2").tobytes())
        file.writeframes(bytes(2 * missing))
    return target.getvalue()


def path_of(options: TaskOptions) -> str:
    """The endpoint: translations, to English, have one of their own, with the same fields."""
    return "audio/translations" if options.task == "translate" else "audio/transcriptions"


def form_of(options: TaskOptions, model: str, detail: Detail, *, prompts: bool = True) -> Form:
    """The fields beside the file. Hotwords follow the prompt, which is how that contract favours
    spellings; neither goes to a server that takes none.
    """
    fields: dict[str, str | Sequence[str]] = {"model": model, "temperature": "0"}
    if options.task == "translate":  # which has neither granularities nor a language
        fields["response_format"] = "json" if detail is Detail.TEXT else "verbose_json"
    else:
        fields.update(_DETAIL_FIELDS[detail])
        if options.language != "auto":
            fields["language"] = options.language
    wanted = [options.prompt, ", ".join(options.hotwords)] if prompts else []
    if prompt := " ".join(filter(None, wanted)):
        # Some put the prompt into a chat template, where these would be control tokens.
        fields["prompt"] = " ".join(TAG.sub(" ", prompt).split())
    return fields


class _Word(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    word: str
    start: float
    end: float


class _Segment(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    start: float = 0.0
    end: float = 0.0
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    temperature: float | None = None


class _Reply(BaseModel):
    text: str
    language: str | None = None
    words: tuple[_Word, ...] | None = None
    segments: tuple[_Segment, ...] | None = None


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: tuple[_Model, ...]


def read_reply(body: bytes) -> SegmentText | Failure:
    """The text of a reply, without tags that models write into it."""
    try:
        reply = _Reply.model_validate_json(body)
    except ValidationError as error:
        return Failure(Kind.FAILED, f"no transcription came back: {_first(error)}{_quoted(body)}")
    preamble = _PREAMBLE.match(reply.text)
    tagged = parse_tags(reply.text[preamble.end() :] if preamble else reply.text)
    name = reply.language or (preamble[1] if preamble else "")
    read = SegmentText(
        text=tagged.text,
        language=tagged.language or _known(name),
        emotion=tagged.emotion,
        events=tagged.events,
        words=_words(reply.words or ()) if tagged.text else (),
    )
    return replace(read, **_measures(reply.segments or ()))


def read_models(body: bytes) -> tuple[str, ...] | Failure:
    """The ids of `GET /v1/models`."""
    try:
        return tuple(model.id for model in _Models.model_validate_json(body).data)
    except ValidationError as error:
        reason = f"no list of models came back: {_first(error)}{_quoted(body)}"
        return Failure(Kind.MISCONFIGURED, reason)


def _measures(segments: Sequence[_Segment]) -> dict[str, Any]:
    """Whisper's, as one for the whole; none where a server fills them with zeros: a text that is
    certain to the last digit does not exist.
    """
    told = [each for each in segments if each.avg_logprob]
    if not told:
        return {}
    weights = [max(each.end - each.start, 0.01) for each in told]
    measures: dict[str, Any] = {}
    for name, whole in (
        ("avg_logprob", partial(np.average, weights=weights)),
        ("no_speech_prob", partial(np.average, weights=weights)),
        ("compression_ratio", max),
        ("temperature", max),
    ):
        values = [value for each in told if (value := getattr(each, name)) is not None]
        if len(values) == len(told):
            measures[name] = float(whole(values))
    return measures


def _words(words: Sequence[_Word]) -> tuple[Word, ...]:
    """In order and never before the segment, whatever came."""
    timed = []
    for word in words:
        if text := word.word.strip():
            start = max(word.start, 0.0)
            timed.append(Word(text, start, max(word.end, start)))
    return tuple(sorted(timed, key=lambda word: word.start_seconds))


def _known(name: str) -> str | None:
    code = language_code(name) if name else None
    return None if code in ("auto", "unknown", "und") else code


def _seconds(text: str) -> float | None:
    """`Retry-After` in seconds; dates, which these servers do not send, count as none."""
    return float(text) if text.isascii() and text.isdigit() else None


def _first(error: ValidationError) -> str:
    problem: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, problem['loc']))} {problem['msg']}".strip()


def _quoted(body: bytes) -> str:
    text = body[:1200].decode(errors="replace")
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
    return f": {plain}" if plain else ""

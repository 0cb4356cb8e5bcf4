"""The form of `POST /v1/audio/transcriptions` read into what is asked. Pure.

Fields and their meaning: `openai.types.audio.transcription_create_params`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import ValidationError

from asr_api.errors import UnsupportedParameter
from asr_core.errors import InvalidOption
from asr_core.queue import ServedModel
from asr_core.task import TaskOptions

FILE_FIELDS = ("file",)
_LISTS = ("timestamp_granularities", "keywords")
_SINGLE = (
    "model", "language", "prompt", "response_format", "temperature", "stream", "chunking_strategy",
)  # fmt: skip
_REFUSED: Mapping[str, str] = {
    "include": "no log probabilities are given",
    "languages": "name one with `language`, or none",
    "known_speaker_names": "speakers are told apart and not recognised",
    "known_speaker_references": "speakers are told apart and not recognised",
}
TEXT_FIELDS = (
    *_SINGLE,
    *(name + brackets for name in (*_LISTS, *_REFUSED) for brackets in ("", "[]")),
)
_SWITCH = {"true": True, "1": True, "false": False, "0": False}
_PHRASES = re.compile(r"[,;.!?\n，；。！？、]+")


class ResponseFormat(StrEnum):
    """`response_format`."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"
    VERBOSE_JSON = "verbose_json"
    DIARIZED_JSON = "diarized_json"


class Granularity(StrEnum):
    """`timestamp_granularities[]`."""

    WORD = "word"
    SEGMENT = "segment"


@dataclass(frozen=True)
class Asked:
    """One request. `hotwords` come from the fields `hotwords_from`, for error messages."""

    model: str
    response_format: ResponseFormat
    granularities: frozenset[Granularity]
    stream: bool
    options: TaskOptions
    hotwords_from: str


def read_parameters(fields: Sequence[tuple[str, str]]) -> Asked:
    """Raises InvalidOption or UnsupportedParameter, naming the field."""
    values: dict[str, list[str]] = defaultdict(list)
    for name, raw in fields:
        if value := raw.strip():
            values[name.removesuffix("[]")].append(value)
    for name, reason in _REFUSED.items():
        if name in values:
            raise UnsupportedParameter(f"{name!r} is not supported: {reason}.", param=name)
    single = {name: _one(name, values[name]) for name in _SINGLE if values[name]}
    if "model" not in single:
        raise InvalidOption("The form has no `model`; /v1/models lists them.", param="model")
    _check_temperature(single.get("temperature", "0"))
    if single.get("chunking_strategy", "auto") != "auto":
        raise UnsupportedParameter(
            "'chunking_strategy' can only be auto: audio is cut at its quiet points.",
            param="chunking_strategy",
        )
    prompt = [phrase.strip() for phrase in _PHRASES.split(single.get("prompt", ""))]
    hotwords = dict.fromkeys([*values["keywords"], *(phrase for phrase in prompt if phrase)])
    hotwords_from = "keywords" if values["keywords"] else "prompt"
    response_format = _choice(
        "response_format", single.get("response_format", "json"), ResponseFormat
    )
    diarized = response_format is ResponseFormat.DIARIZED_JSON
    asked = Asked(
        model=single["model"],
        response_format=response_format,
        granularities=_choices("timestamp_granularities", values, Granularity),
        stream=_switch("stream", single.get("stream", "false")),
        options=_options(
            single.get("language", "auto"), tuple(hotwords), hotwords_from, speakers=diarized
        ),
        hotwords_from=hotwords_from,
    )
    _check_together(asked)
    return asked


def check_model(asked: Asked, served: Sequence[ServedModel]) -> None:
    """What any of the models is known not to heed is refused before it runs. Raises
    UnsupportedParameter.
    """
    for model in served:
        if Granularity.WORD in asked.granularities and "timestamps" not in model.features:
            raise _unsupported("timestamp_granularities", f"{model.model_id!r} times no words")
        if asked.options.hotwords and "hotwords" not in model.features:
            raise _unsupported(asked.hotwords_from, f"{model.model_id!r} favours no words")
        if asked.options.speakers and "speakers" not in model.features:
            raise _unsupported("response_format", f"{model.model_id!r} tells no speakers apart")
        language = asked.options.language
        if language != "auto" and not _speaks(model, language):
            known = ", ".join(sorted(model.languages)) or "none"
            raise _unsupported(
                "language", f"{model.model_id!r} cannot be told {language!r}; there are: {known}"
            )


def check_heeded(asked: Asked, ignored: Collection[str]) -> None:
    """The same after the run, for what was not known before it. Raises UnsupportedParameter."""
    names = {
        "hotwords": asked.hotwords_from,
        "language": "language",
        "speakers": "response_format",
        "words": "timestamp_granularities",
    }
    for option, field in names.items():
        if option in ignored:
            raise _unsupported(field, "the model does not heed it")


def _unsupported(field: str, reason: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"{field!r} is not supported: {reason}.", param=field)


def _speaks(model: ServedModel, language: str) -> bool:
    return "language" in model.features and (not model.languages or language in model.languages)


def _one(name: str, values: Sequence[str]) -> str:
    if len(set(values)) > 1:
        raise InvalidOption(f"{name!r} was sent twice with different values.", param=name)
    return values[0]


def _check_temperature(text: str) -> None:
    try:
        zero = float(text) == 0
    except ValueError:
        raise InvalidOption(
            f"'temperature' is {text!r}; it must be a number.", param="temperature"
        ) from None
    if not zero:
        raise UnsupportedParameter(
            f"'temperature' {text} is not supported: decoding is not random, so only 0 is.",
            param="temperature",
        )


Choice = TypeVar("Choice", bound=StrEnum)


def _choice(name: str, text: str, kind: type[Choice]) -> Choice:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(kind)
        raise InvalidOption(f"{name!r} is {text!r}; there are: {known}.", param=name) from None


def _choices(name: str, values: Mapping[str, list[str]], kind: type[Choice]) -> frozenset[Choice]:
    return frozenset(_choice(name, text, kind) for text in values[name])


def _switch(name: str, text: str) -> bool:
    value = _SWITCH.get(text.lower())
    if value is None:
        raise InvalidOption(f"{name!r} is {text!r}; it must be true or false.", param=name)
    return value


def _options(
    language: str, hotwords: tuple[str, ...], hotwords_from: str, *, speakers: bool
) -> TaskOptions:
    try:
        return TaskOptions(language=language, hotwords=hotwords, speakers=speakers)
    except ValidationError as error:
        problem: Any = error.errors()[0]
        name = "language" if problem["loc"][0] == "language" else hotwords_from
        raise InvalidOption(f"{name!r}: {problem['msg']}.", param=name) from error


def _check_together(asked: Asked) -> None:
    if asked.granularities and asked.response_format is not ResponseFormat.VERBOSE_JSON:
        raise InvalidOption(
            "'timestamp_granularities' needs response_format verbose_json.",
            param="timestamp_granularities",
        )
    if asked.stream and asked.response_format not in (ResponseFormat.JSON, ResponseFormat.TEXT):
        raise UnsupportedParameter(
            f"'stream' is not supported with response_format {asked.response_format.value}, "
            "only with json or text.",
            param="stream",
        )

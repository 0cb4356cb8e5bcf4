"""What a request to OpenAI's endpoints for audio asks for, and what the model can heed of it. Pure.

Of what cannot be heeded the caller is told by name: in a header, or, where the setting is strict,
by an error. What contradicts itself is always an error.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from asr_api.errors import UnsupportedParameter
from asr_api.openai_contract.fields import (
    FILE_FIELDS,
    OPTION_FIELDS,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    Endpoint,
    FormValues,
    choice,
    form_values,
    refuse_unheeded,
    switch,
)
from asr_api.openai_contract.prompt import as_phrases, as_text
from asr_api.submission.options import read_option
from asr_core.errors import InvalidOption
from asr_core.options import OPTIONS, TaskOptions
from asr_core.queue import ServedModel
from asr_core.text_limits import (
    CHUNKING,
    MODEL,
    PROMPT_FIELD,
    shortened,
)

__all__ = [
    "FILE_FIELDS",
    "TRANSCRIPTIONS",
    "TRANSLATIONS",
    "Endpoint",
    "Granularity",
    "ResponseFormat",
    "TranscriptionRequest",
]

TEMPERATURE_MAX = 1.0


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
class TranscriptionRequest:
    """One request. `prompt` and `keywords` are as they came: `heed` makes options of them. Then
    hotwords come from the field `hotwords_from`, for error messages. `ignored` are the fields that
    are not heeded.
    """

    model: str
    response_format: ResponseFormat
    granularities: frozenset[Granularity]
    stream: bool
    options: TaskOptions
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    hotwords_from: str = "keywords"
    ignored: tuple[str, ...] = ()

    @property
    def translates(self) -> bool:
        return self.options.task == "translate"

    def ignoring(self, names: Collection[str]) -> TranscriptionRequest:
        return replace(self, ignored=tuple(dict.fromkeys((*self.ignored, *names))))


def read_parameters(
    fields: Sequence[tuple[str, str]],
    endpoint: Endpoint = TRANSCRIPTIONS,
    *,
    strict: bool = False,
) -> TranscriptionRequest:
    """Raises InvalidOption or UnsupportedParameter, naming the field; the latter for what no model
    heeds only if `strict`.
    """
    form = form_values(fields, endpoint)
    if strict:
        refuse_unheeded(form, endpoint)
    model = MODEL.check("model", form.one("model", ""))
    if not model:
        raise InvalidOption("The form has no `model`; /v1/models lists them.", param="model")
    response_format = choice("response_format", form.one("response_format", "json"), ResponseFormat)
    same = {name: form.one(name, "") for name in OPTION_FIELDS}
    asked = TranscriptionRequest(
        model=model,
        response_format=response_format,
        granularities=frozenset(
            choice("timestamp_granularities", text, Granularity)
            for text in form.listed("timestamp_granularities")
        ),
        stream=switch("stream", form.one("stream", "false")),
        options=TaskOptions(
            task=endpoint.task,
            speakers=response_format is ResponseFormat.DIARIZED_JSON,
            **{name: read_option(OPTIONS[name], [text]) for name, text in same.items() if text},
        ),
        prompt=PROMPT_FIELD.check("prompt", form.one("prompt", "")),
        keywords=tuple(dict.fromkeys(form.values.get("keywords", ()))),
    )
    _check_together(asked)
    unheeded = (name for name in endpoint.unheeded if name in form.values)
    return asked.ignoring((*_decoding(form, strict=strict), *unheeded, *form.others))


def heed(
    asked: TranscriptionRequest, served: Sequence[ServedModel], *, strict: bool
) -> TranscriptionRequest:
    """What the models are known to heed; the rest is ignored, or refused if `strict`. Words of a
    model that has no times are always refused. Raises UnsupportedParameter, InvalidOption.
    """
    asked = _guided(asked, served, strict=strict)
    for model in served:
        if Granularity.WORD in asked.granularities and "timestamps" not in model.features:
            raise _unsupported("timestamp_granularities", f"{model.model_id!r} times no words")
        unheeded = asked.options.unheeded(model.features, model.languages)
        if strict and unheeded:
            reason = _reason(model, unheeded[0], asked.options.language)
            raise _unsupported(field_of(unheeded[0], asked), reason)
        plain = {name: OPTIONS[name].default for name in unheeded}
        asked = replace(asked, options=asked.options.model_copy(update=plain))
        asked = asked.ignoring([field_of(name, asked) for name in unheeded])
    return asked


def heeded(
    asked: TranscriptionRequest, ignored: Collection[str], *, strict: bool
) -> TranscriptionRequest:
    """The same after the run, of `options_ignored`, for what was not known before it."""
    fields = [field_of(name, asked) for name in ignored if name != "itn"]  # nobody asks for itn
    if strict and fields:
        raise _unsupported(fields[0], "the model does not heed it")
    return asked.ignoring(fields)


def field_of(option: str, asked: TranscriptionRequest) -> str:
    """Which field of the form an option of the task came from."""
    return {"hotwords": asked.hotwords_from, "speakers": "response_format"}.get(option, option)


def words_missing() -> UnsupportedParameter:
    """For words asked of a model that turned out to have no times."""
    return _unsupported("timestamp_granularities", "the model times no words")


def _reason(model: ServedModel, option: str, language: str) -> str:
    if option == "language":
        known = ", ".join(sorted(model.languages)) or "none"
        return f"{model.model_id!r} cannot be told {language!r}; there are: {known}"
    lacks = {
        "hotwords": "favours no words",
        "prompt": "does not support prompts",
        "speakers": "tells no speakers apart",
    }
    return f"{model.model_id!r} {lacks.get(option, 'does not heed it')}"


def _unsupported(field: str, reason: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"{field!r} is not supported: {reason}.", param=field)


def _guided(
    asked: TranscriptionRequest, served: Sequence[ServedModel], *, strict: bool
) -> TranscriptionRequest:
    """With `prompt` and `keywords` as options. Models that are not known yet read prompts, as
    OpenAI's do. Raises InvalidOption only if `strict`.
    """
    reads = all("prompt" in model.features for model in served)
    guidance = (as_text if reads else as_phrases)(asked.prompt, asked.keywords, strict=strict)
    options = asked.options.model_copy(
        update={"prompt": guidance.prompt, "hotwords": guidance.hotwords}
    )
    source = "keywords" if asked.keywords else "prompt"
    return replace(asked, options=options, hotwords_from=source).ignoring(guidance.cut)


def _decoding(form: FormValues, *, strict: bool) -> tuple[str, ...]:
    """The fields that ask for another way of decoding than there is."""
    ignored = []
    temperature = form.one("temperature", "0")
    if _temperature(temperature):
        if strict:
            raise UnsupportedParameter(
                f"'temperature' {shortened(temperature)} is not supported: decoding is not random, "
                "so only 0 is.",
                param="temperature",
            )
        ignored.append("temperature")
    if CHUNKING.check("chunking_strategy", form.one("chunking_strategy", "auto")) != "auto":
        if strict:
            raise UnsupportedParameter(
                "'chunking_strategy' can only be auto: audio is cut at its quiet points.",
                param="chunking_strategy",
            )
        ignored.append("chunking_strategy")
    return tuple(ignored)


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= TEMPERATURE_MAX:
        raise InvalidOption(
            f"'temperature' is {shortened(text)}; it must be a number from 0 to 1.",
            param="temperature",
        )
    return value


def _check_together(asked: TranscriptionRequest) -> None:
    if asked.translates and asked.stream:
        raise _unsupported("stream", "a translation comes as a whole")
    if asked.translates and asked.response_format is ResponseFormat.DIARIZED_JSON:
        raise _unsupported("response_format", "a translation tells no speakers apart")
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

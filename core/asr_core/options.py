"""What a caller may ask of the engine: each option is one field of `TaskOptions`. Pure.

The field's type, default, bounds and description, and its `Option`, are all that the form, the JSON
body, the OpenAPI document, the flags of the command line and the record in Redis are made of.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, WithJsonSchema
from pydantic.fields import FieldInfo

from asr_core.text_limits import (
    HOTWORD,
    HOTWORDS,
    HOTWORDS_MAX,
    LANGUAGE,
    PROMPT,
    WORD,
    TextLimit,
    WordsLimit,
)

TRACK_MAX = 100


class Kind(StrEnum):
    """How an option is written in a form or on a command line; its field's type decides."""

    SWITCH = "bool"
    NUMBER = "int | None"
    CHOICE = "Literal or StrEnum"
    TEXT = "str"
    WORDS = "tuple[str, ...]"


@dataclass(frozen=True)
class Option:
    """What a field's type does not say.

    `needs_engine`: only an engine that supports the feature of this name applies it; for others it
    is named in `options_ignored`, or, where it is `essential`, the task is refused: what came out
    without it would be another thing. `text` bounds a `str` as requests spell it, `words` a list
    of phrases. `spelling` describes what requests may write, where that is more than what the
    record holds.
    """

    needs_engine: bool = False
    essential: bool = False
    text: TextLimit = WORD
    words: WordsLimit = HOTWORDS
    spelling: str = ""


@dataclass(frozen=True)
class OptionField:
    """A declared field as the readers of requests need it. `description` is that of requests,
    `choices` are those of a CHOICE, `minimum` and `maximum` those of a NUMBER.
    """

    name: str
    kind: Kind
    type: Any
    default: Any
    description: str
    option: Option
    choices: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = 0


def option_fields(model: type[BaseModel]) -> dict[str, OptionField]:
    """The fields of `model` in their order. Raises TypeError for a type that no request can write:
    those that can are in `Kind`.
    """
    return {name: _read(name, info) for name, info in model.model_fields.items()}


def _read(name: str, info: FieldInfo) -> OptionField:
    option = next((one for one in info.metadata if isinstance(one, Option)), Option())
    kind = _kind(info.annotation)
    if kind is None:
        raise TypeError(f"option {name!r} is a {info.annotation}; it can be: {', '.join(Kind)}")
    lowest = [int(str(one.ge)) for one in info.metadata if isinstance(one, Ge)]
    highest = [int(str(one.le)) for one in info.metadata if isinstance(one, Le)]
    if kind is Kind.NUMBER and not (lowest and highest):
        raise TypeError(f"option {name!r} has no bounds: give both ge and le")
    return OptionField(
        name=name,
        kind=kind,
        type=info.annotation,
        default=info.default,
        description=option.spelling or info.description or "",
        option=option,
        choices=_choices(info.annotation) if kind is Kind.CHOICE else (),
        minimum=max(lowest, default=0),
        maximum=min(highest, default=0),
    )


def _kind(annotation: Any) -> Kind | None:
    if get_origin(annotation) is Literal:
        return Kind.CHOICE
    if get_origin(annotation) is UnionType:
        return Kind.NUMBER if set(get_args(annotation)) == {int, type(None)} else None
    if get_origin(annotation) is tuple:
        return Kind.WORDS
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return Kind.CHOICE
    return {bool: Kind.SWITCH, str: Kind.TEXT}.get(annotation)


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(one.value for one in annotation)


Hotword = Annotated[str, WithJsonSchema(HOTWORD.schema())]


class TaskOptions(BaseModel):
    """What the caller asked of the engine. The bounds of its texts are those of new tasks: records
    of older releases are read as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Annotated[
        str,
        Option(
            needs_engine=True,
            text=LANGUAGE,
            spelling="`auto`, a code or a name in English: `en`, `en-US`, `english`",
        ),
    ] = Field("auto", pattern=r"^(auto|[a-z]{2,3})$", description="`auto` or an ISO 639 code")
    task: Annotated[
        Literal["transcribe", "translate"], Option(needs_engine=True, essential=True)
    ] = Field("transcribe", description="transcribe, or translate what is said to English")
    itn: Annotated[bool, Option(needs_engine=True)] = Field(
        False, description="inverse text normalisation: digits and punctuation in the text"
    )
    hotwords: Annotated[tuple[Hotword, ...], Option(needs_engine=True, words=HOTWORDS)] = Field(
        (), max_length=HOTWORDS_MAX, description="words to favour"
    )
    prompt: Annotated[str, Option(needs_engine=True, text=PROMPT)] = Field(
        "", description="text as it might stand before this: names, spelling and style to follow"
    )
    speakers: Annotated[bool, Option(needs_engine=True)] = Field(
        False, description="separate speakers; needs workers with a speaker model"
    )
    channels: Literal["mix", "split"] = Field(
        "mix", description="mix down, or transcribe channels apart"
    )
    track: int | None = Field(
        None,
        ge=1,
        le=TRACK_MAX,
        description="which of several audio tracks, from 1; by default the one flagged as default, "
        "else the first that can be decoded",
    )

    # Names of a record's options that this release cannot read: asked for, and not applied.
    _unreadable: tuple[str, ...] = PrivateAttr(())

    @property
    def needing_engine(self) -> tuple[str, ...]:
        """The options asked for that depend on what the engine supports."""
        return tuple(
            name
            for name, field in OPTIONS.items()
            if field.option.needs_engine and getattr(self, name) != field.default
        )

    def unheeded(self, features: Collection[str], languages: Collection[str]) -> tuple[str, ...]:
        """What is asked here of a model that has not got it; `languages` empty: they are not
        known.
        """
        foreign = bool(languages) and self.language not in languages
        lacking = tuple(
            name
            for name in self.needing_engine
            if name not in features or (name == "language" and foreign)
        )
        return lacking + self._unreadable

    def refused(self, features: Collection[str]) -> tuple[str, ...]:
        """What is asked here of a model that has not got it, and without which nothing may run."""
        return tuple(
            name
            for name in self.unheeded(features, ())
            if name in OPTIONS and OPTIONS[name].option.essential
        )

    def check_texts(self) -> None:
        """The bounds of new tasks. Raises InvalidOption."""
        for name, field in OPTIONS.items():
            if field.kind is Kind.TEXT:
                field.option.text.check(name, getattr(self, name))
            elif field.kind is Kind.WORDS:
                field.option.words.check(name, getattr(self, name))

    def record(self) -> str:
        """As JSON for Redis. What has its default is left out: a worker of an older release reads
        every record that asks for nothing new.
        """
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_record(cls, text: str) -> Self:
        """Options as Redis has them. An option, or a value of one, that only a newer release knows
        is left at its default, and `unheeded` names it: the task is transcribed all the same.
        """
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError as error:
            unreadable = {str(problem["loc"][0]): None for problem in error.errors()}
        values: dict[str, Any] = json.loads(text)
        options = cls.model_validate({n: v for n, v in values.items() if n not in unreadable})
        options._unreadable = tuple(unreadable)
        return options


OPTIONS: Mapping[str, OptionField] = option_fields(TaskOptions)

"""Form fields of OpenAI's two endpoints for audio: known names, and the encodings that clients use.
Pure.

Fields and their meaning: `openai.types.audio.transcription_create_params` and
`translation_create_params`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeVar

from asr_api.errors import UnsupportedParameter
from asr_core.errors import InvalidOption
from asr_core.text_limits import shortened

FILE_FIELDS = ("file",)
# Options of a task that have their own names and spellings here too. `track` is not of OpenAI's
# contract, which has no word for it; `hotwords` and `speakers` come from fields of other names.
OPTION_FIELDS = ("language", "track")


@dataclass(frozen=True)
class Endpoint:
    """The fields of one endpoint: `single` and `lists`, and with a reason those of its contract
    that no model here heeds. Its answers are `task`s.
    """

    task: Literal["transcribe", "translate"]
    single: tuple[str, ...]
    lists: tuple[str, ...] = ()
    unheeded: Mapping[str, str] = field(default_factory=dict)

    @property
    def text_fields(self) -> tuple[str, ...]:
        """As forms name them; lists with brackets or without."""
        lists = (*self.lists, *self.unheeded)
        return (*self.single, *(name + end for name in lists for end in ("", "[]")))


TRANSCRIPTIONS = Endpoint(
    "transcribe",
    ("model", "prompt", "response_format", "temperature", "stream", "chunking_strategy",
     *OPTION_FIELDS),
    ("timestamp_granularities", "keywords"),
    {
        "include": "no log probabilities are given",
        "languages": "name one with `language`, or none",
        "known_speaker_names": "speakers are told apart and not recognised",
        "known_speaker_references": "speakers are told apart and not recognised",
    },
)  # fmt: skip
# `stream` is known so that it can be refused: who asks for events cannot read anything else.
# `language` is not: here some clients name the language to translate to with it.
TRANSLATIONS = Endpoint(
    "translate", ("model", "prompt", "response_format", "temperature", "stream", "track")
)
NAMES_MAX = 32
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")
_SWITCH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class FormValues:
    """What was sent and is not blank, `[]` left out of names; `others`: names that are not of the
    contract.
    """

    values: Mapping[str, Sequence[str]]
    others: tuple[str, ...]

    def one(self, name: str, default: str) -> str:
        """Raises InvalidOption where it was sent twice with different values."""
        values = self.values.get(name, ())
        if len(set(values)) > 1:
            raise InvalidOption(f"{name!r} was sent twice with different values.", param=name)
        return values[0] if values else default

    def listed(self, name: str) -> list[str]:
        """Each value by itself, whether it came repeated, with commas, or as a list in JSON."""
        return [one for text in self.values.get(name, ()) for one in _split(text)]


def form_values(fields: Sequence[tuple[str, str]], endpoint: Endpoint) -> FormValues:
    """Fields in the order of the form."""
    known = endpoint.text_fields
    values: dict[str, list[str]] = defaultdict(list)
    others: dict[str, None] = {}
    for name, raw in fields:
        value = raw.strip()
        base = name.partition("[")[0]
        if name in known and value:
            values[name.removesuffix("[]")].append(value)
        elif value:
            # `chunking_strategy[type]`: an object, as OpenAI's Python client sends it
            others[base if base in known else _ODD.sub("_", name.removesuffix("[]"))[:64]] = None
    return FormValues(values, tuple(others)[:NAMES_MAX])


def refuse_unheeded(form: FormValues, endpoint: Endpoint) -> None:
    """For who wants to be told by an error. Raises InvalidOption or UnsupportedParameter."""
    for name in form.others:
        raise InvalidOption(f"{name!r} is not a field of this form.", param=name)
    for name, reason in endpoint.unheeded.items():
        if name in form.values:
            raise UnsupportedParameter(f"{name!r} is not supported: {reason}.", param=name)


Choice = TypeVar("Choice", bound=StrEnum)


def choice(name: str, text: str, kind: type[Choice]) -> Choice:
    """Raises InvalidOption."""
    try:
        return kind(text.lower())
    except ValueError:
        known = ", ".join(kind)
        raise InvalidOption(
            f"{name!r} is {shortened(text)}; there are: {known}.", param=name
        ) from None


def switch(name: str, text: str) -> bool:
    """Raises InvalidOption."""
    value = _SWITCH.get(text.lower())
    if value is None:
        raise InvalidOption(f"{name!r} is {shortened(text)}; it must be true or false.", param=name)
    return value


def _split(text: str) -> list[str]:
    try:
        parsed = json.loads(text) if text.startswith(("[", '"')) else text
    except (ValueError, RecursionError):  # the latter: lists in lists, a thousand deep
        parsed = text
    parts = parsed if isinstance(parsed, list) else str(parsed).split(",")
    return [part for part in (str(part).strip(" \t\"'") for part in parts) if part]

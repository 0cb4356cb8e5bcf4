"""Text fields of a request, read into options by the type that each is declared with. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from asr_core.errors import InvalidOption
from asr_core.languages import language_code
from asr_core.options import OPTIONS, Kind, Option, OptionField, TaskOptions, option_fields
from asr_core.task import DEFAULT_POOL, Lane
from asr_core.text_limits import IDEMPOTENCY_KEY, LANGUAGE, POOL, URL, shortened

FILE_FIELDS = ("audio", "file")
_BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_IDEMPOTENCY_KEY = re.compile(rf"[\x21-\x7e]{{1,{IDEMPOTENCY_KEY.characters}}}")
# A fingerprint has always held these; each option that came later only where it is asked for, so
# that a request has the fingerprint that releases without the option gave it.
_ALWAYS_IN_FINGERPRINT = frozenset({"language", "itn", "hotwords", "channels"})


class Routing(BaseModel):
    """Where the task goes and who is told of its end: fields of a submit that no engine sees."""

    pool: Annotated[str, Option(text=POOL)] = Field(
        DEFAULT_POOL, description="which workers: one pool per model"
    )
    lane: Lane = Field(Lane.NORMAL, description="priority, highest first")
    webhook: Annotated[str, Option(text=URL)] = Field(
        "",
        description="a URL that is called when the task has ended, in the format of "
        "standardwebhooks.com",
    )


SUBMIT_FIELDS: Mapping[str, OptionField] = {**option_fields(Routing), **OPTIONS}
TEXT_FIELDS = tuple(SUBMIT_FIELDS)


@dataclass(frozen=True)
class SubmitOptions:
    """Where the task goes and what the engine is asked; `partials`: its caller reads along;
    `ignored`: what the request asked for in vain, by the request's own names.
    """

    pool: str
    lane: Lane
    task: TaskOptions
    webhook: str = ""
    partials: bool = False
    ignored: tuple[str, ...] = ()

    def fingerprint(self, audio_sha256: str) -> str:
        """SHA-256 over the audio's digest and the options: equal exactly when the request asks for
        the same.
        """
        options = self.task.model_dump(mode="json")
        asked = self.task.model_dump(mode="json", exclude_defaults=True)
        said: dict[str, Any] = {
            "pool": self.pool,
            "lane": self.lane.value,
            "options": {
                name: value
                for name, value in options.items()
                if name in asked or name in _ALWAYS_IN_FINGERPRINT
            },
        }
        if self.webhook:
            said["webhook"] = self.webhook
        text = audio_sha256 + json.dumps(said, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def parse_options(fields: Iterable[tuple[str, str]], *, pools: Collection[str]) -> SubmitOptions:
    """Options from text fields; empty ones count as not sent. Raises InvalidOption naming the
    field.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    for name, raw in fields:
        if name not in SUBMIT_FIELDS:
            raise InvalidOption(f"{shortened(name)} is not an option.", param=name)
        if value := raw.strip():
            texts[name].append(value)
    values = {name: read_option(SUBMIT_FIELDS[name], sent) for name, sent in texts.items()}
    routing = Routing(**{n: values.pop(n) for n in Routing.model_fields if n in values})
    return SubmitOptions(
        pool=_pool(routing.pool, pools),
        lane=routing.lane,
        webhook=routing.webhook,
        task=TaskOptions(**values),
    )


def read_option(field: OptionField, texts: Sequence[str]) -> Any:
    """What `texts`, at least one and none empty, say for this field. Only words may be sent more
    than once. Raises InvalidOption.
    """
    if field.kind is Kind.WORDS:
        words = (word.strip() for text in texts for word in text.split(","))
        return field.option.words.check(field.name, [word for word in words if word])
    if len(set(texts)) > 1:
        raise InvalidOption(
            f"Field {field.name!r} was sent twice with different values.", param=field.name
        )
    return _READERS[field.kind](field, texts[0])


def check_idempotency_key(key: str | None) -> str:
    """The header's value, '' when there is none. Raises InvalidOption."""
    if key is None:
        return ""
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidOption(
            f"Idempotency-Key must be 1 to {IDEMPOTENCY_KEY.characters} printable ASCII characters "
            "without spaces.",
            param="Idempotency-Key",
        )
    return key


def read_language(text: str) -> str:
    """An ISO 639 code, or `auto`. Raises InvalidOption."""
    code = language_code(LANGUAGE.check("language", text))
    if code is None:
        raise InvalidOption(
            f"'language' is {shortened(text)}; write auto, or a language by its code or its name "
            "in English, such as en, en-US or english.",
            param="language",
        )
    return code


def _pool(pool: str, pools: Collection[str]) -> str:
    if pool not in pools:
        known = ", ".join(pools)
        raise InvalidOption(f"Unknown pool {shortened(pool)}; there are: {known}.", param="pool")
    return pool


def _switch(field: OptionField, text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise _invalid(field, text, "it must be true or false")
    return value


def _number(field: OptionField, text: str) -> int:
    """Digits alone: `int` takes `+1`, `1_0` and digits of other scripts, too."""
    lowest, highest = field.minimum, field.maximum
    if not re.fullmatch("[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
        raise _invalid(field, text, f"it must be a number from {lowest} to {highest}")
    return int(text)


def _choice(field: OptionField, text: str) -> str:
    if text not in field.choices:
        raise _invalid(field, text, f"there are: {', '.join(field.choices)}")
    return text


def _text(field: OptionField, text: str) -> str:
    if field.name == "language":
        return read_language(text)
    return field.option.text.check(field.name, text)


_READERS: Mapping[Kind, Callable[[OptionField, str], Any]] = {
    Kind.SWITCH: _switch,
    Kind.NUMBER: _number,
    Kind.CHOICE: _choice,
    Kind.TEXT: _text,
}


def _invalid(field: OptionField, text: str, rule: str) -> InvalidOption:
    return InvalidOption(f"{field.name!r} is {shortened(text)}; {rule}.", param=field.name)

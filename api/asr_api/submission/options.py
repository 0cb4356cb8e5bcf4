"""The form's text fields read into options. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from asr_api.submission.languages import language_code
from asr_core.errors import InvalidOption
from asr_core.task import DEFAULT_POOL, TRACK_MAX, Lane, TaskOptions
from asr_core.text_limits import IDEMPOTENCY_KEY, LANGUAGE, URL, check_hotwords, shortened

FILE_FIELDS = ("audio", "file")
TEXT_FIELDS = (
    *("pool", "lane", "language", "itn", "hotwords", "speakers", "channels", "track", "webhook"),
)
_SWITCHES = ("itn", "speakers")

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
        said: dict[str, Any] = {
            "pool": self.pool,
            "lane": self.lane.value,
            "options": self.task.model_dump(mode="json"),
        }
        for added in ("speakers", "track"):  # as releases that did not know it said
            if not said["options"][added]:
                del said["options"][added]
        if self.webhook:
            said["webhook"] = self.webhook
        text = audio_sha256 + json.dumps(said, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def parse_options(fields: Iterable[tuple[str, str]], *, pools: Collection[str]) -> SubmitOptions:
    """Options from text fields; empty ones count as not sent. Raises InvalidOption naming the
    field.
    """
    single: dict[str, str] = {}
    hotwords: list[str] = []
    for name, raw in fields:
        value = raw.strip()
        if name == "hotwords":
            hotwords += [word.strip() for word in value.split(",") if word.strip()]
        elif name in single and single[name] != value:
            raise InvalidOption(f"Field {name!r} was sent twice with different values.", param=name)
        elif value:
            single[name] = value
    return SubmitOptions(
        pool=_pool(single.pop("pool", DEFAULT_POOL), pools),
        lane=_lane(single.pop("lane", Lane.NORMAL.value)),
        webhook=URL.check("webhook", single.pop("webhook", "")),
        task=_task_options(single, hotwords),
    )


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


def read_track(text: str) -> int:
    """The number of an audio track. Raises InvalidOption."""
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= TRACK_MAX:
        raise InvalidOption(
            f"'track' is {shortened(text)}; it must be a number from 1 to {TRACK_MAX}.",
            param="track",
        )
    return int(text)


def _pool(pool: str, pools: Collection[str]) -> str:
    if pool not in pools:
        known = ", ".join(pools)
        raise InvalidOption(f"Unknown pool {shortened(pool)}; there are: {known}.", param="pool")
    return pool


def _lane(lane: str) -> Lane:
    try:
        return Lane(lane)
    except ValueError:
        lanes = ", ".join(known.value for known in Lane)
        raise InvalidOption(
            f"Unknown lane {shortened(lane)}; there are: {lanes}.", param="lane"
        ) from None


def _boolean(name: str, text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise InvalidOption(
            f"Field {name!r} is {shortened(text)}; it must be true or false.", param=name
        )
    return value


def _task_options(single: dict[str, str], hotwords: list[str]) -> TaskOptions:
    values: dict[str, Any] = dict(single)
    for name in _SWITCHES:
        if name in single:
            values[name] = _boolean(name, single[name])
    if "language" in single:
        values["language"] = read_language(single["language"])
    if "track" in single:
        values["track"] = read_track(single["track"])
    values["hotwords"] = check_hotwords(hotwords)
    try:
        return TaskOptions(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        raise InvalidOption(
            f"Field {name!r} is {shortened(str(problem['input']))}: {problem['msg']}.", param=name
        ) from error

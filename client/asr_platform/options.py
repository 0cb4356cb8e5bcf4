"""What a caller asks of the server with a recording: the fields of a submit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypedDict

from asr_platform.errors import InvalidArgument

Lane = Literal["interactive", "normal", "batch"]
Channels = Literal["mix", "split"]
Work = Literal["transcribe", "translate"]


class SubmitOptions(TypedDict, total=False):
    """The keyword arguments of `submit` and `transcribe`, by the API's own names.

    One that is left out, or None, has the server's default.

    - `lane`: the priority, highest first: `interactive`, `normal` (the default) or `batch`.
    - `pool`: which workers; there is one pool for each model. Default: `default`.
    - `language`: `auto` (the default), or a language by code or English name: `en`, `english`.
    - `task`: `transcribe` (the default), or `translate` what is said to English; a pool whose model
      cannot refuses it (`model_cannot_translate`).
    - `channels`: `mix` (the default) transcribes all channels as one, `split` each by itself.
    - `track`: which of several audio tracks of a file, from 1. Default: the one flagged as default.
    - `itn`: digits and punctuation in the text.
    - `speakers`: separate speakers.
    - `hotwords`: words to favour, as a sequence, or as text with commas between.
    - `prompt`: text as it might stand before this recording: names, spelling and style to follow.
    - `webhook`: a URL that is called when the task has ended; see `asr_platform.webhooks`.
    """

    lane: Lane | None
    pool: str | None
    language: str | None
    task: Work | None
    channels: Channels | None
    track: int | None
    itn: bool | None
    speakers: bool | None
    hotwords: Sequence[str] | None
    prompt: str | None
    webhook: str | None


# In characters, as in the OpenAPI document: an upload of longer ones would be in vain.
# Hotwords: each phrase.
LONGEST = {"pool": 63, "language": 64, "webhook": 2048, "hotwords": 128, "prompt": 1024}
MOST_HOTWORDS = 100
OPTION_NAMES = tuple(SubmitOptions.__annotations__)
_ALL_NAMES = ", ".join(OPTION_NAMES)


def form_fields(options: Mapping[str, Any]) -> dict[str, str]:
    """As fields of a multipart form beside the audio. Raises TypeError for an unknown name."""
    return {name: _as_text(value) for name, value in json_fields(options).items()}


def json_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """As fields of a JSON body beside the URL.

    Raises TypeError for an unknown name and InvalidArgument for text that is too long.
    """
    for name in options:
        if name not in OPTION_NAMES:
            close = get_close_matches(name, OPTION_NAMES, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {_ALL_NAMES}"
            raise TypeError(f"there is no option {name!r}; {hint}")
    given = {name: value for name, value in options.items() if value is not None}
    if "hotwords" in given:
        given["hotwords"] = _words(given["hotwords"])
        if not given["hotwords"]:
            del given["hotwords"]
    _check_lengths(given)
    return given


def _check_lengths(given: Mapping[str, Any]) -> None:
    hotwords = given.get("hotwords", ())
    if len(hotwords) > MOST_HOTWORDS:
        raise InvalidArgument(
            f"'hotwords' has {len(hotwords)} phrases, and may have {MOST_HOTWORDS}",
            code="invalid_option",
        )
    texts = [("hotwords", word) for word in hotwords]
    texts += [(name, str(given[name])) for name in LONGEST.keys() & given.keys() - {"hotwords"}]
    for name, text in texts:
        if len(text) > LONGEST[name]:
            raise InvalidArgument(
                f"{name!r} has {len(text)} characters, and may have {LONGEST[name]}",
                code="invalid_option",
            )


def _words(hotwords: str | Sequence[str]) -> list[str]:
    words = hotwords.split(",") if isinstance(hotwords, str) else hotwords
    return [word.strip() for word in words if word.strip()]


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)

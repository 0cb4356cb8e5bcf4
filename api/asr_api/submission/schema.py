"""The declared fields of a submit as the OpenAPI document shows them: a form, or JSON. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic.fields import FieldInfo

from asr_api.submission.options import SUBMIT_FIELDS
from asr_core.options import Hotword, Kind, OptionField


def form_schema() -> dict[str, Any]:
    """The multipart form of `/api/v1/asr/submit`."""
    audio = {
        "type": "string",
        "format": "binary",
        "description": "the recording; `file` is read as well",
    }
    return {
        "type": "object",
        "required": ["audio"],
        "additionalProperties": False,
        "properties": {
            "audio": audio,
            **{name: form_property(_explained(field)) for name, field in SUBMIT_FIELDS.items()},
        },
    }


def form_property(field: OptionField) -> dict[str, Any]:
    """One text field of a form."""
    default = {} if field.default in (None, "") else {"default": field.default}
    match field.kind:
        case Kind.SWITCH:
            return {"type": "boolean", **default, "description": field.description}
        case Kind.NUMBER:
            bounds = {"minimum": field.minimum, "maximum": field.maximum}
            return {"type": "integer", **bounds, "description": field.description}
        case Kind.CHOICE:
            choices = {"enum": list(field.choices)}
            return {"type": "string", **choices, **default, "description": field.description}
        case Kind.WORDS:
            limit = field.option.words
            return {
                "type": "string",
                "maxLength": limit.bytes,
                "description": f"{field.description}, separated by commas; may be repeated; "
                f"{limit.words}",
            }
        case Kind.TEXT:
            return field.option.text.schema(**default, description=field.description)


def json_field(field: OptionField) -> tuple[Any, FieldInfo]:
    """One field of a JSON body, for `create_model`. Its text may be spelled as in a form, so that
    what is no choice or no language is refused in the same words.
    """
    extra: dict[str, Any] = {}
    description = _explained(field).description
    match field.kind:
        case Kind.SWITCH:
            return bool, FieldInfo(default=field.default, strict=True, description=description)
        case Kind.NUMBER:
            return int | None, FieldInfo(
                default=field.default,
                strict=True,
                ge=field.minimum,
                le=field.maximum,
                description=description,
            )
        case Kind.WORDS:
            return list[Hotword], FieldInfo(
                default=[],
                description=f"{description}; at most {field.option.words.bytes} bytes together",
                json_schema_extra={"maxItems": field.option.words.count},
            )
        case Kind.CHOICE:
            extra = {"enum": list(field.choices)}
        case Kind.TEXT:
            description = f"{description}; {field.option.text.words}"
    return str, FieldInfo(
        default=str(field.default),
        max_length=field.option.text.characters,
        description=description,
        json_schema_extra=extra,
    )


def _explained(field: OptionField) -> OptionField:
    """With what comes of an option that the engine lacks."""
    if not field.option.needs_engine:
        return field
    lacking = "where the pool's model lacks it, the reply names it in `options_ignored`"
    if field.option.essential:
        lacking = "a pool whose model lacks it refuses the task"
    return replace(field, description=f"{field.description}; {lacking}")

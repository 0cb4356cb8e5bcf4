"""The flags of commands that submit recordings: the server, its key, and each option of a task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from asr_core.options import OPTIONS, Kind, OptionField

ServerFlag = Annotated[
    str | None,
    typer.Option(
        envvar="ASR_SERVER",
        show_default=False,
        help="Address of the API.  [default: the `asr up` running in ASR_DATA or `data`, else "
        "http://127.0.0.1:8000]",
    ),
]
ApiKeyFlag = Annotated[
    str | None,
    typer.Option(
        envvar="ASR_API_KEY", show_default=False, help="API key, if the server requires one."
    ),
]


def with_option_flags(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, which takes `**flags`, as typer sees it: with a parameter for each option."""
    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    flags = [_flag(field) for field in OPTIONS.values()]
    command.__signature__ = signature.replace(parameters=[*own, *flags])  # type: ignore[attr-defined]
    return command


def asked(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given. Those at their default are not sent: an older server, which may
    not know one, is asked for nothing new.
    """
    given = {name: value for name, value in flags.items() if value != _default(OPTIONS[name])}
    return {
        name: ",".join(value) if OPTIONS[name].kind is Kind.WORDS else value
        for name, value in given.items()
    }


def _flag(field: OptionField) -> inspect.Parameter:
    flag = "--" + field.name.replace("_", "-")
    names = [f"{flag}/--no-{flag[2:]}"] if field.kind is Kind.SWITCH else [flag]
    text = field.description + (
        "; comma-separated, or repeat the flag" if field.kind is Kind.WORDS else ""
    )
    bounds: dict[str, Any] = {}
    if field.kind is Kind.NUMBER:
        bounds = {"min": field.minimum, "max": field.maximum}
    shown = field.default not in (None, "", ())
    option = typer.Option(
        *names, help=f"{text[0].upper()}{text[1:]}.", show_default=shown, **bounds
    )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=_default(field),
        annotation=Annotated[list[str] if field.kind is Kind.WORDS else field.type, option],
    )


def _default(field: OptionField) -> Any:
    """As typer gives it to the command; it fills lists and no tuples."""
    return list(field.default) if field.kind is Kind.WORDS else field.default

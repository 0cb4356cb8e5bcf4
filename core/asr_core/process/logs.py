"""Logs: one chain for structlog and the standard library, JSON for machines, lines for people.

A log never carries transcript text (callers do not pass it) nor credentials (masked here).
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor

from asr_core.settings.logs import LogSettings

EVENTS_LOGGER = "asr.events"
EVENTS_FILE = "asr_events.jsonl"
MASK = "***"

_FIRST_KEYS = ("timestamp", "level", "logger", "event")
_SECRET_KEY = re.compile(
    r"(^|[_.-])(password|passwd|secret|token|authorization|cookie|credentials?|signature|"
    r"(api|access|secret|private|account)[_-]?key)$",
    re.IGNORECASE,
)
_SECRET_TEXT = (
    (re.compile(r"([a-z0-9+.-]://)[^/\s@]*@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(r"\basr_[0-9A-Za-z]{43}\b"), f"asr_{MASK}"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (
        re.compile(r"([?&][\w-]*(?:signature|sig|token|key|password)=)[^&\s\"']+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
)
# These log every request they make or serve at INFO; ours are counted and logged by the app.
_CHATTY = ("httpx", "httpcore", "urllib3", "botocore")
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")


def configure_logging(settings: LogSettings, program: str) -> None:
    """Route all logging of this process, once, in `main`; a second call replaces the first.

    Writes to stderr, and with `log_dir` also as JSON to `asr_{program}.log` there; business
    events then go to `asr_events.jsonl`. Run uvicorn with `log_config=None`.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_gathering(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=BoundLogger,
    )
    handlers: list[logging.Handler] = [_terminal_handler(settings)]
    if settings.log_dir is not None:
        handlers.append(_file_handler(settings.log_dir / f"asr_{program}.log"))
    _replace_handlers(logging.getLogger(), handlers)
    logging.getLogger().setLevel(settings.log_level)
    logging.captureWarnings(True)
    for name in _UVICORN:
        _replace_handlers(logging.getLogger(name), [])
        logging.getLogger(name).propagate = True
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    _configure_events(settings.log_dir)


def get_logger(name: str) -> BoundLogger:
    """Return a logger; what `structlog.contextvars` has bound, such as `task_id`, goes along."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def business_event(event: str, **fields: object) -> None:
    """Record that something happened which a business counts: a task submitted, finished, deleted.

    Recorded at any log level. Fields are plain values; no transcript text.
    """
    get_logger(EVENTS_LOGGER).info(event, business=True, **fields)


def mask_credentials(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace the values of secret keys, and credentials inside any text, by `***`."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: object, value: object) -> object:
    if isinstance(key, str) and _SECRET_KEY.search(key) and value not in (None, ""):
        return MASK
    if isinstance(value, str):
        for pattern, replacement in _SECRET_TEXT:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {inner: _masked(inner, item) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(None, item) for item in value]
    if isinstance(value, BaseException):
        return _masked(None, repr(value))
    return value


def _gathering() -> list[Processor]:
    """Return what every record passes first, from structlog or the standard library."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(renderer: Processor) -> logging.Formatter:
    return ProcessorFormatter(
        foreign_pre_chain=[*_gathering(), structlog.stdlib.ExtraAdder()],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            mask_credentials,
            _in_order,
            renderer,
        ],
    )


def _in_order(_logger: object, _method: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn's second copy of its message, with escape codes
    first = {key: event.pop(key) for key in _FIRST_KEYS if key in event}
    return {**first, **event}


def _json_formatter() -> logging.Formatter:
    return _formatter(structlog.processors.JSONRenderer(serializer=json.dumps))


def _terminal_handler(settings: LogSettings) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    if console:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        handler.setFormatter(_formatter(renderer))
    else:
        handler.setFormatter(_json_formatter())
    return handler


def _file_handler(file: Path) -> logging.Handler:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Watched, so that logrotate may move it away; delayed until there is something to write.
    handler = logging.handlers.WatchedFileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(_json_formatter())
    return handler


def _configure_events(log_dir: Path | None) -> None:
    logger = logging.getLogger(EVENTS_LOGGER)
    _replace_handlers(logger, [] if log_dir is None else [_file_handler(log_dir / EVENTS_FILE)])
    logger.propagate = log_dir is None
    logger.setLevel(logging.INFO)


def _replace_handlers(logger: logging.Logger, handlers: list[logging.Handler]) -> None:
    for old in logger.handlers[:]:
        logger.removeHandler(old)
        old.close()
    for handler in handlers:
        logger.addHandler(handler)

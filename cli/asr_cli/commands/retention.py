"""`asr retention`: deletes what is past its time, once or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_cli.console import fail
from asr_cli.redis_session import DataOption

if TYPE_CHECKING:
    from asr_core.lifecycle.retention import Retained

EXAMPLES = """
Examples:

- `asr retention --dry-run` prints what would be deleted
- `asr retention --max-recordings 100 --results-max-age-days 30`
- `asr retention --every 300` runs until SIGTERM
"""


def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Delete nothing; print what would be deleted.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            min=1, metavar="SECONDS", help="Repeat at this interval, and log instead of printing."
        ),
    ] = None,
    max_recordings: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Recordings of completed and cancelled tasks kept per tenant, the newest."
            "  [default: MAX_RECORDINGS or 10]",
        ),
    ] = None,
    recordings_min_age_minutes: Annotated[
        float | None,
        typer.Option(
            help="Minutes after the end of a task in which --max-recordings, unless 0, keeps its "
            "recording.  [default: ASR_RECORDINGS_MIN_AGE_MINUTES or 60]"
        ),
    ] = None,
    recordings_max_age_days: Annotated[
        float | None,
        typer.Option(
            help="Days to keep these recordings.  [default: ASR_RECORDINGS_MAX_AGE_DAYS or none]"
        ),
    ] = None,
    results_max_age_days: Annotated[
        float | None,
        typer.Option(help="Days to keep finished tasks.  [default: ASR_RESULTS_MAX_AGE_DAYS or 7]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: DataOption = None,
) -> None:
    """Delete expired recordings, results and task records.

    Only finished tasks expire. A failed task keeps its recording for a retry until its record is
    deleted. `asr up` runs this by itself. Exit status 0 only if everything expired was deleted.
    """
    import asyncio

    from asr_cli.commands.retention_run import keep_deleting, one_pass
    from asr_cli.local.running_platform import find_place
    from asr_core.process.logs import configure_logging
    from asr_core.process.setting_names import warn_of_unknown_settings
    from asr_core.queue import require_permissions
    from asr_core.retention_policy import RetentionPolicy
    from asr_core.settings.logs import LogSettings
    from asr_core.settings.store import RetentionSettings

    if dry_run and every:
        fail("--dry-run and --every exclude each other", status=2)
    options: dict[str, Any] = {
        "max_recordings": max_recordings,
        "recordings_min_age_minutes": recordings_min_age_minutes,
        "recordings_max_age_days": recordings_max_age_days,
        "results_max_age_days": results_max_age_days,
    }
    settings = RetentionSettings(**{name: v for name, v in options.items() if v is not None})
    policy = RetentionPolicy.of(settings)
    logs = LogSettings()
    configure_logging(logs, "retention")
    warn_of_unknown_settings()
    place = find_place(data, store=True)
    if every:
        asyncio.run(require_permissions(place.redis))
        asyncio.run(keep_deleting(place, policy, every))
        return
    log_event = logs.log_dir is not None
    with place.advising():
        retained = asyncio.run(one_pass(place, policy, dry_run=dry_run, log_event=log_event))
    typer.echo(_as_json(retained) if as_json else in_words(retained))
    if retained.problem:
        fail(retained.problem)


def in_words(retained: Retained) -> str:
    """One line."""
    verb = "would delete" if retained.dry_run else "deleted"
    parts = [
        f"{verb} {_count(retained.recordings_deleted, 'recording')} "
        f"({retained.bytes_freed / 1e6:.1f} MB) and {_count(retained.records_deleted, 'record')}"
    ]
    if retained.recordings_kept is not None and retained.unknown is not None:
        parts.append(f"{_count(retained.recordings_kept, 'recording')} of finished tasks kept")
        parts.append(f"{_count(retained.unknown, 'file')} of no known task")
    parts.append(_count(retained.errors, "error"))
    return f"{', '.join(parts)}, in {retained.seconds:.1f} s"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _as_json(retained: Retained) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(retained))

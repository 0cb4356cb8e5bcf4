"""The command tree. Only thin modules are imported here; heavy ones load when a command runs."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from asr_cli.bench import command as bench
from asr_cli.commands import (
    courier,
    keys,
    load_test,
    models,
    operator,
    queue,
    reconcile,
    retention,
    serve,
    simulate,
    tenants,
    transcribe,
    up,
    usage,
)
from asr_core.process.home import ensure_home


class _Group(TyperGroup):
    """Prints expected errors in one line each, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        from pydantic import ValidationError

        from asr_core.errors import AsrError

        try:
            return super().invoke(ctx)
        except AsrError as error:
            typer.secho(f"asr: {error.message}", err=True, fg="red")
        except ModuleNotFoundError as error:
            extra = "pip install 'asr-platform[all]'"
            typer.secho(f"asr: {error.name} is not installed: {extra}", err=True, fg="red")
        except ValidationError as error:
            for problem in error.errors():
                place = ".".join(str(part) for part in problem["loc"])
                what = problem["msg"].removeprefix("Value error, ")
                # What is wrong with several settings together names them itself.
                text = f"setting {place}: {what}" if place else what
                typer.secho(f"asr: {text}", err=True, fg="red")
        raise typer.Exit(1)


app = typer.Typer(
    cls=_Group,
    name="asr",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Speech recognition that you run yourself: HTTP API, durable queue, FunASR workers.",
    epilog="Start with `asr up`; settings are environment variables or a `.env` file.",
)
app.command(epilog=up.EXAMPLES)(up.up)
app.command(epilog=serve.API_EXAMPLES)(serve.api)
app.command(epilog=serve.WORKER_EXAMPLES)(serve.worker)
app.command(epilog=courier.EXAMPLES)(courier.courier)
app.command(epilog=operator.EXAMPLES)(operator.operator)
app.command(epilog=transcribe.EXAMPLES)(transcribe.transcribe)
app.command("load-test", epilog=load_test.EXAMPLES)(load_test.load_test)
app.add_typer(queue.app, name="queue")
app.add_typer(keys.app, name="keys")
app.add_typer(models.app, name="models")
app.add_typer(tenants.app, name="tenants")
app.command(epilog=usage.EXAMPLES)(usage.usage)
app.command(epilog=reconcile.EXAMPLES)(reconcile.reconcile)
app.command(epilog=retention.EXAMPLES)(retention.retention)
app.command(epilog=simulate.EXAMPLES)(simulate.simulate)
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        from asr_core import __version__

        typer.echo(f"asr-platform {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: `asr version`")
def version() -> None:
    """Print the version."""
    _print_version(True)


def main() -> NoReturn:
    """The `asr` program. It exits with the command's status, without finalising the interpreter.

    obstore's threads may still release Python objects, which aborts the process once the
    interpreter has been finalised, whatever the command's status was:
    https://github.com/PyO3/pyo3-async-runtimes/issues/40.
    """
    ensure_home()
    try:
        app(prog_name="asr")
        status = 0
    except SystemExit as end:
        status = _status(end.code)
    except Exception:
        sys.excepthook(*sys.exc_info())
        status = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads any more
            status = status or 1
    os._exit(status)


def _status(code: object) -> int:
    """What Python makes of what `sys.exit` was given."""
    if code is None or isinstance(code, int):
        return int(code or 0)
    print(code, file=sys.stderr)
    return 1

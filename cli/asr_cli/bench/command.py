"""`asr bench`: measures this machine, side by side with FunASR's own code in the same run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr_cli.console import fail, say

if TYPE_CHECKING:
    from asr_cli.bench.report import Finding

app = typer.Typer(
    help="Measure this machine: engine, worker, service, decoding, voices, queue; does it last?",
    no_args_is_help=True,
    epilog="Examples: `asr bench engine`, `asr bench worker --model embedded --files 200`, "
    "`asr bench service --connections 16`, `asr bench all --json figures.json`",
)
_Model = Annotated[
    str,
    typer.Option(
        help="`sensevoice` or `paraformer`: full size, random weights; `embedded`; or a folder."
    ),
]
_Files = Annotated[int, typer.Option(min=1, help="Recordings in each round.")]
_Lengths = Annotated[
    str, typer.Option(help="`messages`, `calls`, `meetings`, or seconds for all of one length.")
]
_Rounds = Annotated[int, typer.Option(min=1, help="Contenders take turns; medians are shown.")]
_Threads = Annotated[
    int, typer.Option(min=0, help="Of torch, on every side; 0: all processors but one.")
]
_UseGpu = Annotated[
    bool | None, typer.Option("--gpu/--cpu", help="[default: a GPU if there is one]")
]
_Seed = Annotated[int, typer.Option(help="Another seed, other recordings.")]
_Json = Annotated[Path | None, typer.Option("--json", help="Write the figures here, too.")]
_Plot = Annotated[Path | None, typer.Option(help="Write a PNG of them.")]


@app.command()
def engine(
    model: _Model = "sensevoice",
    files: _Files = 40,
    lengths: _Lengths = "5.6",
    rounds: _Rounds = 3,
    threads: _Threads = 0,
    batch_seconds: Annotated[
        float, typer.Option(min=0, help="Padded seconds of our batches; 0: as on a worker.")
    ] = 0.0,
    gpu: _UseGpu = None,
    seed: _Seed = 1,
    json_path: _Json = None,
    plot: _Plot = None,
) -> None:
    """The engine beside AutoModel, in a loop and with its own batches; and where its time goes."""
    from asr_cli.bench.engine import EngineOrder, measure
    from asr_worker.engines.funasr_models import pick_device
    from asr_worker.in_flight.capacity import batch_seconds_on

    _check(lengths)
    budget = batch_seconds_on(pick_device(gpu), batch_seconds or None)
    _tell(
        [measure(EngineOrder(model, files, lengths, rounds, _of(threads), budget, gpu, seed))],
        json_path,
        plot,
    )


@app.command()
def worker(
    model: _Model = "embedded",
    files: _Files = 200,
    lengths: _Lengths = "messages",
    rounds: _Rounds = 3,
    threads: _Threads = 0,
    gpu: _UseGpu = None,
    seed: _Seed = 1,
    json_path: _Json = None,
    plot: _Plot = None,
) -> None:
    """A worker from store to recorded result, beside a plain loop that keeps nothing."""
    from asr_cli.bench.worker import WorkerOrder, measure

    _check(lengths)
    order = WorkerOrder(model, files, lengths, rounds, _of(threads), gpu, seed)
    _tell([measure(order)], json_path, plot)


@app.command()
def service(
    requests: Annotated[int, typer.Option(min=2, help="In each round.")] = 150,
    connections: Annotated[list[int] | None, typer.Option(help="May be given again.")] = None,
    lengths: _Lengths = "messages",
    rounds: _Rounds = 1,
    threads: _Threads = 0,
    json_path: _Json = None,
) -> None:
    """The API with one worker on the CPU, beside FunASR's own OpenAI server."""
    from asr_cli.bench.service import measure

    _check(lengths)
    asked = measure(requests, connections or [1, 16, 256], rounds, _of(threads), lengths)
    _tell(asyncio.run(asked), json_path, None)


@app.command()
def decode(
    seconds: Annotated[float, typer.Option(min=1, help="Length of the recording.")] = 120.0,
    rounds: _Rounds = 5,
    json_path: _Json = None,
    plot: _Plot = None,
) -> None:
    """How fast one process decodes wav, flac, mp3, opus and m4a."""
    from asr_cli.bench.decoding import measure

    _tell([measure(seconds, rounds)], json_path, plot)


@app.command()
def voices(
    files: _Files = 20,
    lengths: _Lengths = "5.6",
    rounds: _Rounds = 5,
    threads: _Threads = 0,
    gpu: _UseGpu = None,
    seed: _Seed = 1,
    json_path: _Json = None,
) -> None:
    """What `speakers=true` adds: a speaker model that hears each recording, too."""
    from asr_cli.bench.voices import measure

    _check(lengths)
    _tell([measure(files, lengths, rounds, _of(threads), gpu, seed)], json_path, None)


@app.command()
def queue(
    tasks: Annotated[int, typer.Option(min=1, help="In each round.")] = 2000,
    rounds: _Rounds = 3,
    json_path: _Json = None,
) -> None:
    """Submits, claims and finishes in Redis alone, each on disk before its reply."""
    from asr_cli.bench.queue import measure

    _tell([asyncio.run(measure(tasks, rounds))], json_path, None)


@app.command()
def soak(
    model: _Model = "embedded",
    batches: Annotated[int, typer.Option(min=10, help="One after the other.")] = 1000,
    threads: _Threads = 0,
    gpu: _UseGpu = None,
    json_path: _Json = None,
) -> None:
    """Whether the engine's thousandth batch is as fast as its tenth, and memory stays flat."""
    from asr_cli.bench.engine import EngineOrder
    from asr_cli.bench.soak import measure
    from asr_worker.engines.funasr_models import pick_device
    from asr_worker.in_flight.capacity import batch_seconds_on

    budget = batch_seconds_on(pick_device(gpu), None)
    order = EngineOrder(model, batches, "messages", 1, _of(threads), budget, gpu, 1)
    _tell([measure(order, batches)], json_path, None)


@app.command("all")
def everything(json_path: _Json = None) -> None:
    """All of them with their defaults: some twenty minutes on two cores."""
    from asr_cli.bench import decoding, engine, queue, service, worker
    from asr_worker.engines.funasr_models import pick_device
    from asr_worker.in_flight.capacity import batch_seconds_on

    threads, budget = _of(0), batch_seconds_on(pick_device(None), None)
    found = [asyncio.run(queue.measure(2000, 3)), decoding.measure(120.0, 5)]
    for model in engine.MODELS:
        order = engine.EngineOrder(model, 40, "5.6", 3, threads, budget, None, 1)
        found.append(engine.measure(order))
    found.append(
        worker.measure(worker.WorkerOrder("embedded", 200, "messages", 3, threads, None, 1))
    )
    found += asyncio.run(service.measure(150, [1, 16, 256], 1, threads, "messages"))
    _tell(found, json_path, None)


def _of(threads: int) -> int:
    return threads or max((os.cpu_count() or 2) - 1, 1)


def _check(lengths: str) -> None:
    from asr_cli.bench.lengths import drawn

    try:
        drawn(lengths, 1, 1)
    except ValueError as error:
        fail(str(error), status=2)


def _tell(found: list[Finding], json_path: Path | None, plot: Path | None) -> None:
    from asr_cli.bench.report import draw, show, write

    for each in found:
        show(each)
    if json_path is not None:
        write(found, json_path)
    if plot is not None:
        try:
            draw(found[0], plot)
        except ModuleNotFoundError:
            say("no picture: matplotlib is not installed (pip install 'asr-platform[simulate]')")

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
    help="Measure this machine: engine, worker, service, decoding, speakers, voice activity, "
    "queue, soak.",
    no_args_is_help=True,
    epilog="Examples: `asr bench engine`, `asr bench worker --model embedded --files 200`, "
    "`asr bench service --connections 16`, `asr bench all --json figures.json`",
)
_Model = Annotated[
    str,
    typer.Option(
        help="`sensevoice` or `paraformer`: full size, random weights; `embedded`; a Whisper model "
        "such as `whisper-base`; or a folder."
    ),
]
_Files = Annotated[int, typer.Option(min=1, help="Recordings in each round.")]
_Lengths = Annotated[
    str, typer.Option(help="`messages`, `calls`, `meetings`, or seconds for all of one length.")
]
_Rounds = Annotated[
    int, typer.Option(min=1, help="Rounds, in which contenders alternate; medians are shown.")
]
_Threads = Annotated[
    int, typer.Option(min=0, help="torch threads of every contender; 0: all CPUs but one.")
]
_UseGpu = Annotated[
    bool | None, typer.Option("--gpu/--cpu", help="[default: a GPU if there is one]")
]
_Seed = Annotated[int, typer.Option(help="Seed of the recordings.")]
_Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
_Plot = Annotated[Path | None, typer.Option(help="Write a PNG chart.")]


@app.command()
def engine(
    model: _Model = "sensevoice",
    files: _Files = 40,
    lengths: _Lengths = "5.6",
    rounds: _Rounds = 3,
    threads: _Threads = 0,
    batch_seconds: Annotated[
        float, typer.Option(min=0, help="Padded audio-seconds per batch; 0: as on a worker.")
    ] = 0.0,
    gpu: _UseGpu = None,
    seed: _Seed = 1,
    json_path: _Json = None,
    plot: _Plot = None,
    recordings: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="For Whisper: speech from this folder, with its words in `.txt` files beside it; "
            "else of the bundled recording.",
        ),
    ] = None,
) -> None:
    """Compare the engine with AutoModel, in a loop and in batches, and show where time goes.

    Whisper is compared with faster-whisper, in a loop and with its batched pipeline.
    """
    from asr_cli.bench.engine import EngineOrder, measure
    from asr_worker.engines.funasr_models import pick_device
    from asr_worker.in_flight.capacity import batch_seconds_on

    _check(lengths)
    budget = batch_seconds_on(pick_device(gpu), batch_seconds or None)
    _tell(
        [
            measure(
                EngineOrder(
                    model, files, lengths, rounds, _of(threads), budget, gpu, seed, recordings
                )
            )
        ],
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
    """Compare a worker, from store to recorded result, with a loop that stores nothing."""
    from asr_cli.bench.worker import WorkerOrder, measure

    _check(lengths)
    order = WorkerOrder(model, files, lengths, rounds, _of(threads), gpu, seed)
    _tell([measure(order)], json_path, plot)


@app.command()
def service(
    requests: Annotated[int, typer.Option(min=2, help="Requests per round.")] = 150,
    connections: Annotated[list[int] | None, typer.Option(help="Connections; repeatable.")] = None,
    lengths: _Lengths = "messages",
    rounds: _Rounds = 1,
    threads: _Threads = 0,
    json_path: _Json = None,
) -> None:
    """Compare the API with one CPU worker to FunASR's own OpenAI server."""
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
    """Measure how fast one process decodes wav, flac, mp3, opus and m4a."""
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
    """Measure the cost of `speakers=true`, which also runs a speaker model."""
    from asr_cli.bench.voices import measure

    _check(lengths)
    _tell([measure(files, lengths, rounds, _of(threads), gpu, seed)], json_path, None)


@app.command()
def vad(
    seconds: Annotated[float, typer.Option(min=1, help="Length of the recording.")] = 300.0,
    rounds: _Rounds = 3,
    fsmn: Annotated[
        str,
        typer.Option(
            help="Also measure FunASR's FSMN-VAD: a folder or hub id, such as `fsmn-vad`."
        ),
    ] = "",
    json_path: _Json = None,
) -> None:
    """Cost of voice activity detection, for each value of ASR_VAD."""
    from asr_cli.bench.vad import measure

    _tell([measure(seconds, rounds, fsmn)], json_path, None)


@app.command()
def queue(
    tasks: Annotated[int, typer.Option(min=1, help="Tasks per round.")] = 2000,
    rounds: _Rounds = 3,
    json_path: _Json = None,
) -> None:
    """Measure submits, claims and finishes in Redis alone, each fsynced before its reply."""
    from asr_cli.bench.queue import measure

    _tell([asyncio.run(measure(tasks, rounds))], json_path, None)


@app.command()
def soak(
    model: _Model = "embedded",
    batches: Annotated[int, typer.Option(min=10, help="Number of batches.")] = 1000,
    threads: _Threads = 0,
    gpu: _UseGpu = None,
    json_path: _Json = None,
) -> None:
    """Check that the engine's speed and memory stay flat over many batches."""
    from asr_cli.bench.engine import EngineOrder
    from asr_cli.bench.soak import measure
    from asr_worker.engines.funasr_models import pick_device
    from asr_worker.in_flight.capacity import batch_seconds_on

    budget = batch_seconds_on(pick_device(gpu), None)
    order = EngineOrder(model, batches, "messages", 1, _of(threads), budget, gpu, 1)
    _tell([measure(order, batches)], json_path, None)


@app.command("all")
def everything(json_path: _Json = None) -> None:
    """Run all of them with their defaults: about twenty minutes on two cores."""
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
            say("no chart: matplotlib is not installed (pip install 'asr-platform[simulate]')")

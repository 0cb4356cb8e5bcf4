"""The engine beside FunASR's own: the same samples, weights and threads, in one process.

Rounds alternate between the contenders, since these machines are noisy.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from asr_cli.bench import whisper
from asr_cli.bench.audio import SAMPLE_RATE, as_floats, recordings
from asr_cli.bench.lengths import drawn
from asr_cli.bench.random_models import Architecture, write_model
from asr_cli.bench.report import Finding, Series
from asr_worker.settings import Precision, WorkerSettings

# Full size, random weights; and the embedded model with its real ones.
MODELS: Final[dict[str, Architecture]] = {
    "sensevoice": "SenseVoiceSmall",
    "paraformer": "BiCifParaformer",
}
WHISPER: Final = "Whisper"  # as find_model calls it
Run = Callable[[], None]


@dataclass(frozen=True)
class EngineOrder:
    """What to measure. `model` is a name of MODELS, `embedded`, a Whisper model, or a folder;
    `recordings` is a folder of people's, for Whisper.
    """

    model: str
    files: int
    lengths: str
    rounds: int
    threads: int
    batch_seconds: float
    use_gpu: bool | None
    seed: int
    recordings: Path | None = None


def measure(order: EngineOrder) -> Finding:
    """Audio-seconds per second of each contender in each round."""
    import torch

    from asr_core.settings.models import ModelSettings
    from asr_worker.engines.funasr_models import find_model, pick_device

    device = pick_device(order.use_gpu)
    if order.model not in MODELS:
        found = find_model(order.model, cache_folder=ModelSettings().cache_folder)
        if found.architecture == WHISPER:
            return whisper.measure(order, found.path, device, partial(load, order, order.model))
    arrays = [
        as_floats(each)
        for each in recordings(drawn(order.lengths, order.files, order.seed), order.seed)
    ]
    audio_seconds = sum(map(len, arrays)) / SAMPLE_RATE
    with model_folder(order.model) as folder:
        engines = _engines(order, folder, device)
        contenders = dict(_contenders(order, engines, folder, device, arrays))
        torch.set_num_threads(order.threads)
        series = [Series(name) for name in contenders]
        for run in contenders.values():
            run()
        for _ in range(order.rounds):
            for each in series:
                started = time.perf_counter()
                contenders[each.name]()
                each.rounds.append(audio_seconds / (time.perf_counter() - started))
        details = _stages(list(engines.values())[-1], order.batch_seconds, arrays)
    return Finding(
        title=f"Engine, {order.model}",
        command=f"asr bench engine --model {order.model} --lengths {order.lengths}",
        conditions={
            "files": len(arrays), "seconds of audio": round(audio_seconds),
            "lengths": order.lengths, "threads": order.threads, "device": device,
        },
        unit="times real time",
        series=series,
        details=details,
    )  # fmt: skip


@contextlib.contextmanager
def model_folder(model: str) -> Iterator[str]:
    """A name that workers take: `embedded`, or a folder, made for the time where need be."""
    if model not in MODELS:
        yield model
        return
    with tempfile.TemporaryDirectory() as name:
        yield str(write_model(Path(name), MODELS[model]))


def _engines(order: EngineOrder, folder: str, device: str) -> dict[Precision, Any]:
    """In each precision that model and device have."""
    from asr_worker.engines.precision import int8_kernels

    engines: dict[Precision, Any] = {"float32": load(order, folder, "float32")}
    if engines["float32"].name == "automodel":
        return engines
    if device != "cpu":
        engines["bfloat16"] = load(order, folder, "bfloat16")
    elif int8_kernels():
        engines["int8"] = load(order, folder, "int8")
    return engines


def _contenders(
    order: EngineOrder, engines: dict[Precision, Any], folder: str, device: str, arrays: list[Any]
) -> Iterator[tuple[str, Run]]:
    """FunASR's plain loop comes last: ratios are to the last one."""
    for precision, engine in engines.items():
        yield f"this engine, {precision}", _ours(engine, arrays, order.batch_seconds)
    yield "AutoModel, batches of 16", automodel(folder, device, order.threads, arrays, batch=16)
    yield "AutoModel, a loop", automodel(folder, device, order.threads, arrays, batch=1)


def load(order: EngineOrder, folder: str, precision: Precision) -> Any:
    from asr_worker.engines.choose import load_engine

    settings = WorkerSettings(
        _env_file=None,
        model=folder,
        precision=precision,
        use_gpu=order.use_gpu,
        cpu_threads=order.threads,
    )
    return load_engine(settings)


def _ours(engine: Any, arrays: list[Any], batch_seconds: float) -> Run:
    """Batches as the worker plans them."""
    from asr_cli.bench.planning import planned_batches

    batches = [
        [segment.audio for segment in batch] for batch in planned_batches(arrays, batch_seconds)
    ]

    def run() -> None:
        for batch in batches:
            engine.transcribe(batch)

    return run


def automodel(folder: str, device: str, threads: int, arrays: list[Any], *, batch: int) -> Run:
    """FunASR as its documentation calls it: one file after another, or batches of its own."""
    from asr_worker.engines.funasr_models import find_model
    from asr_worker.engines.model_code import no_model_code
    from asr_worker.engines.registry import import_for

    with contextlib.redirect_stdout(io.StringIO()):
        path = find_model(folder).path
        import_for(path)
        from funasr import AutoModel

    with contextlib.redirect_stdout(io.StringIO()), no_model_code():
        model = AutoModel(
            model=str(path), device=device, ncpu=threads, disable_update=True,
            disable_pbar=True, disable_log=True,
        )  # fmt: skip

    def run() -> None:
        for first in range(0, len(arrays), batch):
            part = arrays[first : first + batch]
            model.generate(
                input=part if batch > 1 else part[0], batch_size=batch, cache={}, language="auto"
            )

    return run


def _stages(engine: Any, batch_seconds: float, arrays: list[Any]) -> dict[str, Any]:
    """Where the engine's time goes, and how fast the model alone would be."""
    if engine.name == "automodel":
        return {}  # FunASR does it all in one call
    engine.times.seconds.clear()
    engine.times.is_exact = True
    _ours(engine, arrays, batch_seconds)()
    spent = dict(engine.times.seconds)
    whole, audio = sum(spent.values()), sum(map(len, arrays)) / SAMPLE_RATE
    shares = {f"share of {stage}": f"{seconds / whole:.1%}" for stage, seconds in spent.items()}
    return {**shares, "model alone, times real time": f"{audio / spent['model']:.1f}"}

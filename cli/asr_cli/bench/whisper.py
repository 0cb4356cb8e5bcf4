"""Engine `whisper` beside faster-whisper, in a loop and with its batched pipeline.

The same samples, weights and threads, beam search and word times on all sides, languages detected.
Rounds alternate between the contenders, as for the other engines.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from asr_cli.bench.audio import SAMPLE_RATE, as_floats
from asr_cli.bench.lengths import drawn
from asr_cli.bench.report import Finding, Series
from asr_cli.bench.speech import Speech, speech, word_errors
from asr_worker.in_flight.capacity import batch_seconds_on
from asr_worker.settings import Precision

# Texts of all recordings, in order.
Texts = Callable[[], list[str]]
PIPELINE_BATCH: Final = 8  # faster-whisper's default
NOT_INSTALLED: Final = "not installed: pip install 'asr-platform[bench]'"


def measure(order: Any, folder: Path, device: str, load: Callable[..., Any]) -> Finding:
    """Audio-seconds per second of each contender in each round, and its word errors.

    `order` is an `EngineOrder`, `folder` the model's, `load` makes an engine of a precision.
    """
    said = speech(order.recordings, drawn(order.lengths, order.files, order.seed), order.seed)
    arrays = [as_floats(each.samples) for each in said]
    audio_seconds = sum(map(len, arrays)) / SAMPLE_RATE
    contenders = dict(_contenders(order, folder, device, load, arrays))
    series = [Series(name) for name in contenders]
    texts = {name: run() for name, run in contenders.items()}
    for _ in range(order.rounds):
        for each in series:
            started = time.perf_counter()
            texts[each.name] = contenders[each.name]()
            each.rounds.append(audio_seconds / (time.perf_counter() - started))
    return Finding(
        title=f"Engine, {order.model}",
        command=_command(order),
        conditions={
            "files": len(arrays), "seconds of audio": round(audio_seconds),
            "lengths": order.lengths, "threads": order.threads, "device": device,
        },
        unit="times real time",
        series=series,
        details=_details(said, texts, series),
    )  # fmt: skip


def _command(order: Any) -> str:
    chosen = f" --recordings {order.recordings}" if order.recordings else ""
    files = f" --files {order.files} --lengths {order.lengths}"
    return f"asr bench engine --model {order.model}{files}{chosen}"


def _contenders(
    order: Any, folder: Path, device: str, load: Callable[..., Any], arrays: list[Any]
) -> Iterator[tuple[str, Texts]]:
    precisions: tuple[Precision, ...] = ("float32", "int8")
    if device != "cpu":
        precisions = ("float16", "float32")
    for precision in precisions:
        engine = load(precision)
        seconds = order.batch_seconds
        if seconds == batch_seconds_on(device, None):  # not asked for: as a worker has it
            window = engine.computed_seconds(0.0)
            seconds = batch_seconds_on(device, None, window_seconds=window)
        yield f"this engine, {precision}", _ours(engine, arrays, seconds)
    if importlib.util.find_spec("faster_whisper") is None:
        return
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    for precision in reversed(precisions):
        model = WhisperModel(
            str(folder),
            device=device.partition(":")[0],
            compute_type=precision,
            cpu_threads=order.threads,
        )
        pipeline = BatchedInferencePipeline(model)
        yield (
            f"faster-whisper, batched, {precision}",
            _theirs(pipeline.transcribe, arrays, batch_size=PIPELINE_BATCH),
        )
        yield f"faster-whisper, a loop, {precision}", _theirs(model.transcribe, arrays)


def _ours(engine: Any, arrays: Sequence[Any], batch_seconds: float) -> Texts:
    """Segments and batches as the worker plans them; planning counts."""
    from asr_cli.bench.planning import planned_batches
    from asr_worker.transcript.assemble import join_texts

    def run() -> list[str]:
        parts: list[dict[int, str]] = [{} for _ in arrays]
        for batch in planned_batches(arrays, batch_seconds, engine.computed_seconds):
            found = engine.transcribe([each.audio for each in batch])
            for each, text in zip(batch, found, strict=True):
                parts[each.recording][each.start] = text.text
        return [join_texts([part[at] for at in sorted(part) if part[at]]) for part in parts]

    return run


def _theirs(transcribe: Callable[..., Any], arrays: Sequence[Any], **options: Any) -> Texts:
    """As its documentation calls it, one recording after the other."""

    def run() -> list[str]:
        texts = []
        for array in arrays:
            segments, _ = transcribe(array, beam_size=5, word_timestamps=True, **options)
            texts.append("".join(segment.text for segment in segments))
        return texts

    return run


def _details(
    said: Sequence[Speech], texts: dict[str, list[str]], series: Sequence[Series]
) -> dict[str, Any]:
    details: dict[str, Any] = {}
    peers = [each for each in series if each.name.startswith("faster-whisper")]
    if not peers:
        details["faster-whisper"] = NOT_INSTALLED
    for ours in (each for each in series if each not in peers):
        precision = ours.name.rpartition(" ")[2]
        same = [each for each in peers if each.name.endswith(precision)]
        if same:
            better = max(same, key=lambda each: each.median)
            details[f"{ours.name}, times {better.name}"] = f"{ours.ratio_to(better):.2f}"
    for name, heard in texts.items():
        counted = [
            word_errors(each.words, text)
            for each, text in zip(said, heard, strict=True)
            if each.words is not None
        ]
        if counted:
            wrong, words = (sum(column) for column in zip(*counted, strict=True))
            details[f"word errors, {name}"] = f"{wrong} of {words}"
    return details

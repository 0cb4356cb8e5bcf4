"""The cost of speaker diarisation: a full-size CAM++, as a worker runs it beside its engine."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from asr_cli.bench.audio import as_floats, recordings
from asr_cli.bench.lengths import drawn
from asr_cli.bench.random_models import write_voice_model
from asr_cli.bench.report import Finding, Series


def measure(
    files: int, lengths: str, rounds: int, threads: int, use_gpu: bool | None, seed: int
) -> Finding:
    """Audio-seconds per second: all recordings in one batch, and one after another."""
    import torch

    from asr_worker.engines.base import SegmentAudio
    from asr_worker.engines.funasr_models import find_model, pick_device
    from asr_worker.engines.speaker_model import SpeakerModel

    device = pick_device(use_gpu)
    segments = [
        SegmentAudio(as_floats(each)) for each in recordings(drawn(lengths, files, seed), seed)
    ]
    audio_seconds = sum(segment.seconds for segment in segments)
    with tempfile.TemporaryDirectory() as name:
        model = SpeakerModel(find_model(str(write_voice_model(Path(name)))), device, threads)
    torch.set_num_threads(threads)
    contenders = {
        "all in a batch": [segments],
        "one after another": [[segment] for segment in segments],
    }
    series = [Series(each) for each in contenders]
    for number in range(rounds + 1):
        for each in series:
            started = time.perf_counter()
            for batch in contenders[each.name]:
                model.submit(batch)()
            if number:  # the first one warms up
                each.rounds.append(audio_seconds / (time.perf_counter() - started))
    return Finding(
        title="Voices, CAM++",
        command=f"asr bench voices --lengths {lengths}",
        conditions={
            "files": files, "seconds of audio": round(audio_seconds), "lengths": lengths,
            "threads": threads, "device": device,
        },
        unit="times real time",
        series=series,
    )  # fmt: skip

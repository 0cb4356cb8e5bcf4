"""Assumed throughput of a worker before any was measured, by model and device. Pure.

In audio-seconds per second and pod, deliberately low: too low a figure starts too many workers for
one start-up and one batch, too high a figure lets the first tasks wait. Sources: CPU figures are
about half of what two cores of a small machine measured (docs/performance.md: SenseVoice and
Paraformer 12 to 17, the embedded model 130 and more); GPU figures are at or below the lowest
published ones (SenseVoice 170 and Paraformer 120 on an H100, Whisper large 12 unbatched on an RTX
3070 Ti).
"""

from __future__ import annotations

CPU, GPU = "cpu", "cuda"
_BY_MODEL = (
    # substring of the model's name, audio-seconds per second on a CPU, on a GPU
    ("embedded", 50.0, 50.0),
    ("sensevoice", 6.0, 80.0),
    ("paraformer", 6.0, 60.0),
    ("whisper", 1.0, 10.0),
)
_OTHERS = 2.0, 10.0


def prior_throughput(model: str, device: str) -> float:
    """`model` is a name or a path as ASR_MODEL has it, `device` as torch names it (`cuda:0`)."""
    on_gpu = bool(device) and device != CPU
    for part, on_cpu, faster in _BY_MODEL:
        if part in model.lower():
            return faster if on_gpu else on_cpu
    return _OTHERS[on_gpu]

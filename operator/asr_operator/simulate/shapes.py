"""Synthetic traces: Poisson arrivals with a varying rate, lognormal durations.

The load is the number of workers that it keeps busy, so that a shape fits any throughput. Bursts
are small enough to be served within the target from zero workers.

Two shapes also change the model: `cold` is a folder of long recordings at once, for workers without
measurements that take ten minutes to start; in `template` the pod template changes midway, and pods
are thirty times slower from then on.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from asr_core.errors import InvalidOption
from asr_operator.simulate.model import ClusterModel
from asr_operator.simulate.trace import Trace

MINUTE, HOUR = 60.0, 3600.0
_COLD_TASKS, _COLD_AUDIO_SECONDS, _COLD_START_SECONDS = 500, 600.0, 600.0
_SLOWER = 30.0
_SIGMA = 0.8  # of the lognormal of durations: a mean of 180 s then has a median of 131 s


@dataclass(frozen=True)
class Workload:
    """`throughput` in audio-seconds per second and worker; `scale` multiplies the load."""

    throughput: float = 20.0
    mean_audio_seconds: float = 180.0
    scale: float = 1.0
    seed: int = 1

    @property
    def service_seconds(self) -> float:
        """Mean time that a task keeps a worker busy."""
        return self.mean_audio_seconds / self.throughput


def generate(shape: str, work: Workload | None = None) -> Trace:
    """One of `SHAPES`. The same seed gives the same trace. Raises `InvalidOption`."""
    if shape not in SHAPES:
        raise InvalidOption(f"no shape {shape!r}: {', '.join(SHAPES)}", param="shape")
    work = work or Workload()
    seconds, load = SHAPES[shape]
    rng = random.Random(f"{shape}/{work.seed}")
    if shape == "cold":
        return _cold(seconds, work, rng)
    arrivals = _poisson(seconds, load, work.service_seconds / work.scale, rng)
    if shape == "burst":
        arrivals = sorted(arrivals + _bursts(seconds, work.scale, rng))
    mu = math.log(work.mean_audio_seconds) - _SIGMA**2 / 2
    audio = tuple(max(1.0, rng.lognormvariate(mu, _SIGMA)) for _ in arrivals)
    return Trace(shape, seconds, tuple(arrivals), audio)


def model_of(shape: str, model: ClusterModel) -> ClusterModel:
    """The model with the changes of the shape: start-up time, change of the template."""
    if shape == "cold":
        return replace(model, startup_seconds=_COLD_START_SECONDS)
    if shape == "template":
        return replace(model, changed_at=HOUR, faster_before=_SLOWER)
    return model


def _cold(seconds: float, work: Workload, rng: random.Random) -> Trace:
    arrivals = sorted(rng.uniform(0, 5) for _ in range(round(_COLD_TASKS * work.scale)))
    return Trace("cold", seconds, tuple(arrivals), (_COLD_AUDIO_SECONDS,) * len(arrivals))


def _poisson(
    seconds: float, load: Callable[[float], float], service_seconds: float, rng: random.Random
) -> list[float]:
    """By thinning: P. A. W. Lewis and G. S. Shedler, Naval Research Logistics 26 (1979), 403."""
    most = max(load(t * seconds / 2000) for t in range(2001)) / service_seconds
    arrivals, at = [], rng.expovariate(most)
    while at < seconds:
        if rng.random() * most <= load(at) / service_seconds:
            arrivals.append(at)
        at += rng.expovariate(most)
    return arrivals


def _bursts(seconds: float, scale: float, rng: random.Random) -> list[float]:
    """A folder of 8 to 20 recordings within five seconds, every ten minutes on the average."""
    arrivals: list[float] = []
    at = rng.uniform(5 * MINUTE, 15 * MINUTE)
    while at < seconds - 5 * MINUTE:
        count = round(scale * rng.randint(8, 20))
        arrivals += [at + rng.uniform(0, 5) for _ in range(count)]
        at += rng.uniform(5 * MINUTE, 15 * MINUTE)
    return arrivals


def _step(at: float) -> float:
    return 5.0 if 0.5 * HOUR <= at < 1.5 * HOUR else 1.0


def _ramp(at: float) -> float:
    return 6.0 * (at / (2 * HOUR) if at < 2 * HOUR else max(0.0, 1 - (at - 2 * HOUR) / HOUR))


def _sine(at: float) -> float:
    return 3.5 - 3.0 * math.cos(2 * math.pi * at / HOUR)


def _quiet(at: float) -> float:
    return 0.5


def _busy(at: float) -> float:
    return 3.0


# Hours and loads of a working day with a lunch dip.
_DAY = ((0, 0.2), (6, 0.3), (8, 2.5), (10, 6), (11.5, 6), (12.5, 3), (13.5, 5.5), (16, 6), (18, 3),
        (20, 1), (23, 0.3), (24, 0.2))  # fmt: skip


def _day(at: float) -> float:
    hour = at / HOUR
    for (start, low), (end, high) in itertools.pairwise(_DAY):
        if start <= hour <= end:
            return low + (high - low) * (hour - start) / (end - start)
    return 0.0


SHAPES: dict[str, tuple[float, Callable[[float], float]]] = {
    "step": (2 * HOUR, _step),
    "ramp": (3 * HOUR, _ramp),
    "sine": (3 * HOUR, _sine),
    "burst": (3 * HOUR, _quiet),
    "day": (24 * HOUR, _day),
    "cold": (HOUR, _quiet),
    "template": (2 * HOUR, _busy),
}

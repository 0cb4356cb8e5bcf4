"""A pool and what one look at it has seen, in as few words as a test needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from asr_operator.planning.observation import (
    Measurement,
    Observation,
    PodSeen,
    PodState,
    QueueSeen,
    WorkerSeen,
)
from asr_operator.planning.spec import PoolSpec

PoolOf = Callable[..., PoolSpec]
See = Callable[..., Observation]


@pytest.fixture(scope="session")
def pool_of() -> PoolOf:
    """A spec: names of `scaling`, and `spec` for what stands beside it."""

    def make(*, spec: dict[str, Any] | None = None, **scaling: Any) -> PoolSpec:
        return PoolSpec.parse(
            {"scaleTargetRef": {"name": "asr-worker"}, **(spec or {}), "scaling": scaling}
        )

    return make


@pytest.fixture(scope="session")
def see() -> See:
    """So many replicas, all ready for long, `busy` of them with a task of a minute of audio left.

    Tasks last a minute each, a worker does ten audio-seconds per second and starts in 20 s. More
    names are those of `QueueSeen` and `Observation`.
    """

    def make(
        replicas: int = 0, *, busy: int = 0, waiting: int = 0, starting: int = 0, nodeless: int = 0,
        nodeless_seconds: float = 5.0, heard: bool = True, now: float = 1000.0, **more: Any,
    ) -> Observation:  # fmt: skip
        ready = replicas - starting - nodeless
        names = [f"pod-{n}" for n in range(replicas)]
        pods = [PodSeen(name, PodState.READY, 500.0, 20.0) for name in names[:ready]]
        pods += [PodSeen(n, PodState.STARTING, 5.0) for n in names[ready : ready + starting]]
        pods += [
            PodSeen(n, PodState.UNSCHEDULABLE, nodeless_seconds) for n in names[ready + starting :]
        ]
        workers = [
            WorkerSeen(f"{name}.x", name, int(n < busy), 1, 60.0 if n < busy else 0.0, 10.0, 3.0)
            for n, name in enumerate(names[:ready])
        ]
        queue = {
            "waiting": waiting,
            "in_flight": busy,
            "audio_seconds": 60.0 * (waiting + busy),
            **{name: more.pop(name) for name in list(more) if name in QueueSeen.__annotations__},
        }
        return Observation(**{
            "now": now,
            "queue": QueueSeen(**queue),
            "replicas": replicas,
            "pods": tuple(pods),
            "workers": tuple(workers) if heard else (),
            "measurements": (Measurement("", "", "", 10.0, 20.0),),
            **more,
        })  # fmt: skip

    return make

"""Short constructors for a pool's spec and an observation of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from asr_operator.planning.observation import (
    History,
    Measurement,
    Observation,
    PodObservation,
    PodState,
    QueueObservation,
    WorkerObservation,
)
from asr_operator.planning.plan import Plan, plan
from asr_operator.planning.spec import PoolSpec

PoolOf = Callable[..., PoolSpec]
See = Callable[..., Observation]


@pytest.fixture(scope="session")
def pool_of() -> PoolOf:
    """A spec: keyword arguments are fields of `scaling`; `spec` has the other fields."""

    def make(*, spec: dict[str, Any] | None = None, **scaling: Any) -> PoolSpec:
        return PoolSpec.parse(
            {"scaleTargetRef": {"name": "asr-worker"}, **(spec or {}), "scaling": scaling}
        )

    return make


@pytest.fixture(scope="session")
def see() -> See:
    """`replicas`, all ready for a long time, `busy` of them with a task of 60 s of audio left.

    Each task has 60 s of audio; a worker does ten audio-seconds per second and starts in 20 s. More
    arguments are fields of `QueueObservation` and `Observation`.
    """

    def make(
        replicas: int = 0, *, busy: int = 0, waiting: int = 0, starting: int = 0, nodeless: int = 0,
        nodeless_seconds: float = 5.0, heard: bool = True, now: float = 1000.0, **more: Any,
    ) -> Observation:  # fmt: skip
        ready = replicas - starting - nodeless
        names = [f"pod-{n}" for n in range(replicas)]
        pods = [PodObservation(name, PodState.READY, 500.0, 20.0) for name in names[:ready]]
        pods += [PodObservation(n, PodState.STARTING, 5.0) for n in names[ready : ready + starting]]
        pods += [
            PodObservation(n, PodState.UNSCHEDULABLE, nodeless_seconds)
            for n in names[ready + starting :]
        ]
        workers = [
            WorkerObservation(
                f"{name}.x", name, int(n < busy), 1, 60.0 if n < busy else 0.0, 10.0, 3.0
            )
            for n, name in enumerate(names[:ready])
        ]
        queue = {
            "waiting": waiting,
            "in_flight": busy,
            "audio_seconds": 60.0 * (waiting + busy),
            **{
                name: more.pop(name)
                for name in list(more)
                if name in QueueObservation.__annotations__
            },
        }
        return Observation(**{
            "now": now,
            "queue": QueueObservation(**queue),
            "replicas": replicas,
            "pods": tuple(pods),
            "workers": tuple(workers) if heard else (),
            "measurements": (Measurement("", "", "", 10.0, 20.0),),
            **more,
        })  # fmt: skip

    return make


@pytest.fixture(scope="session")
def watched() -> Callable[..., Plan]:
    """The plan after the same observation for `seconds`."""

    def after(spec: PoolSpec, observation: Observation, seconds: float = 600.0) -> Plan:
        before = replace(observation, now=observation.now - seconds)
        return plan(spec, observation, plan(spec, before, History()).history)

    return after


@pytest.fixture(scope="session")
def status() -> Callable[[Plan, str], bool | None]:
    """What a condition of a plan says."""

    def of(decided: Plan, condition: str) -> bool | None:
        (found,) = (each for each in decided.conditions if each.type == condition)
        return found.status

    return of

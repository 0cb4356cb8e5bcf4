"""What one tick has seen, where nobody said anything."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from asr_operator.planning.observation import (
    History,
    Measurement,
    Observation,
    PodObservation,
    PodState,
    QueueObservation,
    Signal,
    WorkerObservation,
)

SILENT = [
    WorkerObservation("c", "p"),
    Measurement("t"),
    PodObservation("p", PodState.READY),
    History(),
    QueueObservation(trusted=False),
    Observation(0.0, QueueObservation(), 0),
]


@pytest.mark.parametrize("silent", SILENT, ids=lambda each: type(each).__name__)
def test_what_is_not_said_is_nothing(silent: Any) -> None:
    for field in fields(silent):
        if field.name not in ("consumer", "pod", "template", "name", "state", "signal", "queue"):
            assert not getattr(silent, field.name), field.name


def test_a_queue_is_trusted_unless_it_says_otherwise_or_cannot_be_read() -> None:
    assert QueueObservation().trusted
    away = QueueObservation.unreachable("refused")
    assert (away.signal, away.trusted, away.error) == (Signal.UNREACHABLE, False, "refused")


def test_only_ready_pods_are_ready() -> None:
    pods = tuple(PodObservation(state.value, state) for state in PodState)
    seen = Observation(0.0, QueueObservation(), 4, pods=pods)
    assert seen.ready == 1
    assert replace(seen, pods=(*pods, PodObservation("x", PodState.READY))).ready == 2

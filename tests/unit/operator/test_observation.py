"""What one tick has seen, where nobody said anything."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from asr_operator.planning.observation import (
    History,
    Measurement,
    Observation,
    PodSeen,
    PodState,
    QueueSeen,
    Signal,
    WorkerSeen,
)

SILENT = [
    WorkerSeen("c", "p"),
    Measurement("t"),
    PodSeen("p", PodState.READY),
    History(),
    QueueSeen(trusted=False),
    Observation(0.0, QueueSeen(), 0),
]


@pytest.mark.parametrize("silent", SILENT, ids=lambda each: type(each).__name__)
def test_what_is_not_said_is_nothing(silent: Any) -> None:
    for field in fields(silent):
        if field.name not in ("consumer", "pod", "template", "name", "state", "signal", "queue"):
            assert not getattr(silent, field.name), field.name


def test_a_queue_is_trusted_unless_it_says_otherwise_or_cannot_be_read() -> None:
    assert QueueSeen().trusted
    away = QueueSeen.unreachable("refused")
    assert (away.signal, away.trusted, away.error) == (Signal.UNREACHABLE, False, "refused")


def test_only_ready_pods_are_ready() -> None:
    pods = tuple(PodSeen(state.value, state) for state in PodState)
    seen = Observation(0.0, QueueSeen(), 4, pods=pods)
    assert seen.ready == 1
    assert replace(seen, pods=(*pods, PodSeen("x", PodState.READY))).ready == 2

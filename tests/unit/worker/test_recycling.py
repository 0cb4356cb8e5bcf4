"""When a worker process gives way to a fresh one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from asr_worker.in_flight.capacity import Throughput
from asr_worker.in_flight.tasks import InFlightTask, InFlightTasks
from asr_worker.process.recycling import (
    LEAST_AGE_SECONDS,
    PATIENCE_SECONDS,
    Bounds,
    Recycling,
    resident_bytes,
)
from asr_worker.settings import WorkerSettings

MIB = 1024**2


class World:
    """A clock, a memory, and a hand of tasks that the test moves on."""

    def __init__(self, **settings: Any) -> None:
        self.seconds = 0.0
        self.memory = 100 * MIB
        self.in_flight = InFlightTasks()
        self.throughput = Throughput()
        self.throughput.add(10.0, 1.0)
        self.recycling = Recycling(
            WorkerSettings(_env_file=None, **settings),  # type: ignore[call-arg]
            self.in_flight,
            self.throughput,
            memory=lambda: self.memory,
            clock=lambda: self.seconds,
        )

    def take(self, seconds: float) -> Any:
        task = InFlightTask(
            _claim(str(self.in_flight.gone_count + len(self.in_flight))), Path("x"), seconds
        )
        self.in_flight.add(task)
        return task

    def do_one(self) -> None:
        self.in_flight.remove(self.take(1.0))


def _claim(name: str) -> Any:
    class Claim:
        token = name
        solo = False

        class task:
            task_id = name

    return Claim


@pytest.mark.parametrize(
    ("bounds", "tasks", "mib", "age", "reached"),
    [
        (Bounds(0, 0), 10**6, 10**6, 10**6, None),
        (Bounds(10, 0), 9, 0, 10**6, None),
        (Bounds(10, 0), 10, 0, 0, "tasks"),
        (Bounds(0, 500 * MIB), 1, 499, LEAST_AGE_SECONDS, None),
        (Bounds(0, 500 * MIB), 1, 500, LEAST_AGE_SECONDS, "memory"),
        (Bounds(0, 500 * MIB), 0, 500, LEAST_AGE_SECONDS, None),
        (Bounds(0, 500 * MIB), 1, 500, LEAST_AGE_SECONDS - 1, None),
    ],
)
def test_a_bound_is_reached_by_tasks_or_by_memory_once_that_is_worth_a_start(
    bounds: Bounds, tasks: int, mib: int, age: float, reached: str | None
) -> None:
    said = bounds.reached(tasks=tasks, resident_bytes=mib * MIB, age_seconds=age)
    assert said == reached


def test_a_bound_that_a_fresh_process_is_above_does_not_apply_and_that_is_said_once() -> None:
    with capture_logs() as logs:
        world = World(max_memory_bytes=100 * MIB)
        world.seconds = 10 * LEAST_AGE_SECONDS
        for _ in range(3):
            world.do_one()
            assert not world.recycling.check()
    assert [log["log_level"] for log in logs] == ["error"]
    assert "does not apply" in logs[0]["event"]
    assert not world.recycling.retiring


def test_it_retires_once_and_ends_when_its_hand_is_empty() -> None:
    world = World(max_tasks_per_process=2)
    last = world.take(20.0)
    world.do_one()
    assert not world.recycling.check()
    assert not world.recycling.retiring
    world.do_one()
    with capture_logs() as logs:
        assert not world.recycling.check()
        assert not world.recycling.check()
    assert world.recycling.retiring
    assert [log["reason"] for log in logs] == ["tasks"]
    world.in_flight.remove(last)
    assert world.recycling.check()


def test_hours_of_audio_in_hand_are_waited_for_before_others_are_kept_out() -> None:
    world = World(max_tasks_per_process=1)
    hours = world.take(36_000.0)
    world.do_one()
    assert not world.recycling.check()
    assert not world.recycling.retiring
    hours.done_seconds = 35_990.0
    assert not world.recycling.check()
    assert world.recycling.retiring


def test_hours_of_audio_without_end_are_waited_for_so_long_and_no_longer() -> None:
    world = World(max_tasks_per_process=1)
    world.take(36_000.0)
    world.do_one()
    world.recycling.check()
    world.seconds = PATIENCE_SECONDS + 1
    assert not world.recycling.check()
    assert world.recycling.retiring


def test_the_memory_of_this_process_is_read_in_bytes() -> None:
    before = resident_bytes()
    block = bytearray(os.urandom(1) * 64 * MIB)
    assert len(block) <= resident_bytes() - before + MIB < 2 * len(block)

"""A process that does not move ends itself."""

from __future__ import annotations

import threading
import time

import pytest

from asr_worker.process.watchdog import EXIT_CODE, Watchdog


@pytest.mark.parametrize(("busy", "ticks"), [(True, True), (False, False)])
def test_a_hung_engine_or_a_stuck_loop_ends_the_process(busy: bool, ticks: bool) -> None:
    left = threading.Event()
    codes: list[int] = []
    arms: list[float] = []
    started = time.monotonic()

    def busy_since() -> float | None:
        if ticks:
            dog.tick()
        return started if busy else None

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    dog = Watchdog(
        deadline_seconds=0.1, busy_since=busy_since, leave=leave, last_resort=arms.append
    )
    dog.start()
    assert left.wait(5)
    assert codes == [EXIT_CODE]
    assert arms == pytest.approx([0.15] * len(arms))
    assert arms


def test_a_process_that_ticks_with_short_batches_stays() -> None:
    looks = threading.Semaphore(0)
    codes: list[int] = []

    def busy_since() -> float | None:
        dog.tick()
        looks.release()
        return time.monotonic()

    dog = Watchdog(
        deadline_seconds=0.05,
        busy_since=busy_since,
        leave=codes.append,
        last_resort=lambda _seconds: None,
    )
    dog.start()
    for _ in range(8):
        assert looks.acquire(timeout=5)
    dog.stop()
    assert codes == []

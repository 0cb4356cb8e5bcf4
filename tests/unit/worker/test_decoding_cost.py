"""What decoding may cost: by the sound that came of it, and in all."""

from __future__ import annotations

import pytest

from asr_core.errors import RetryPolicy, TooExpensive
from asr_worker.attempts.failure_policy import failure_policy
from asr_worker.audio.decoding.cost import OPENING_CPU_SECONDS, Cost, CostLimits


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_second_of_sound_pays_for_so_much_processor_time() -> None:
    clock, allowed = Clock(), []
    cost = Cost(CostLimits(ratio=0.5, seconds=1000.0), on_allowed=allowed.append, clock=clock)
    clock.now += OPENING_CPU_SECONDS + 50.0
    cost.check(100.0)
    clock.now += 0.1
    with pytest.raises(TooExpensive, match="100 s of sound"):
        cost.check(100.0)
    assert allowed == [OPENING_CPU_SECONDS, OPENING_CPU_SECONDS + 50.0]


def test_no_amount_of_sound_pays_for_more_than_a_recording_may_take() -> None:
    clock = Clock()
    cost = Cost(CostLimits(ratio=0.5, seconds=30.0), clock=clock)
    clock.now += 30.0
    cost.check(1e6)
    clock.now += 0.1
    with pytest.raises(TooExpensive, match="more than the 30 s of processor time"):
        cost.check(1e6)


def test_it_is_never_tried_again() -> None:
    found = failure_policy(TooExpensive("x"))
    assert (found.policy, found.code) == (RetryPolicy.PERMANENT, "too_expensive")

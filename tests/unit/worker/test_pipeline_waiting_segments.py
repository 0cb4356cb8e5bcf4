"""Whose segments go next: fair over tasks, urgent lanes first, nothing waits for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

from asr_core.options import TaskOptions
from asr_core.queue import Claim, Outcome
from asr_core.task import Lane, State, Task
from asr_worker.audio.pcm import SAMPLE_RATE, PcmFile
from asr_worker.audio.segments import Span
from asr_worker.in_flight.tasks import InFlightTask
from asr_worker.inference.batch_plan import BatchRules
from asr_worker.inference.segment_queue import WaitingSegments
from asr_worker.transcript.recording import RecordedSegment, Recording

RULES = BatchRules(seconds=100.0)


def in_hand(name: str, lane: Lane = Lane.NORMAL, *, solo: bool = False) -> InFlightTask:
    task = Task(
        task_id=name, state=State.PROCESSING, pool="default", lane=lane, tenant="t", filename="",
        content_type="", bytes=1, duration_seconds=1, options=TaskOptions(),
        created_at=0, queued_at=0,
    )  # fmt: skip
    return InFlightTask(Claim(task, f"token-{name}", solo), Path(name), 1.0)


def recording(count: int, seconds: float = 10.0) -> Recording:
    length = int(seconds * SAMPLE_RATE)
    spans = [Span(n * length, (n + 1) * length) for n in range(count)]
    pcm = PcmFile(Path("pcm"), 1, count * length, True)
    return Recording(pcm, tuple(RecordedSegment(0, span) for span in spans), TaskOptions(), 0.0)


def taken(waiting: WaitingSegments) -> list[str]:
    batch = waiting.take()
    return sorted(segment.task.task_id for segment in batch[1]) if batch else []


def test_segments_of_several_tasks_share_a_batch() -> None:
    waiting = WaitingSegments(RULES)
    for name in "abcd":
        waiting.add(in_hand(name), recording(2))
    assert taken(waiting) == sorted("abcd" * 2)
    assert (len(waiting), waiting.seconds) == (0, 0)


def test_a_short_task_behind_a_long_one_is_in_the_next_batch() -> None:
    waiting = WaitingSegments(RULES)
    waiting.add(in_hand("long"), recording(4000))
    for _ in range(50):
        assert taken(waiting) == ["long"] * 10
    waiting.add(in_hand("short"), recording(1))
    assert "short" in taken(waiting)


def test_two_long_tasks_move_on_together() -> None:
    waiting = WaitingSegments(RULES)
    waiting.add(in_hand("first"), recording(400))
    for _ in range(10):
        waiting.take()
    waiting.add(in_hand("second"), recording(400))
    counts = {"first": 0, "second": 0}
    for _ in range(20):
        for name in taken(waiting):
            counts[name] += 1
    assert abs(counts["first"] - counts["second"]) <= 60


def test_an_interactive_task_goes_before_all_others() -> None:
    waiting = WaitingSegments(RULES)
    waiting.add(in_hand("long", Lane.BATCH), recording(400))
    waiting.take()
    waiting.add(in_hand("watched", Lane.INTERACTIVE), recording(1))
    assert taken(waiting) == ["watched"]


def test_a_batch_task_is_served_under_an_endless_stream_of_interactive_ones() -> None:
    now = 0.0
    waiting = WaitingSegments(RULES, clock=lambda: now)
    waiting.add(in_hand("patient", Lane.BATCH), recording(1))
    for number in range(40):
        waiting.add(in_hand(f"watched-{number}", Lane.INTERACTIVE), recording(10))
        if taken(waiting) == ["patient"]:
            return
        now += 1.0
    raise AssertionError("the batch task never ran")


def test_segments_of_a_dropped_task_are_gone_and_those_put_back_are_first_again() -> None:
    async def scene() -> None:
        waiting = WaitingSegments(RULES)
        one, other = in_hand("one"), in_hand("other")
        waiting.add(one, recording(2))
        waiting.add(other, recording(2))
        batch = waiting.take()
        assert batch is not None
        other.lost = Outcome.CANCELLED
        waiting.requeue(batch[1])
        assert taken(waiting) == ["one", "one"]
        waiting.add(one, recording(3))
        waiting.drop(one)
        assert taken(waiting) == []

    asyncio.run(scene())


def test_what_waits_out_of_view_is_not_overdue() -> None:
    """Four batches are looked at, and the segment behind them: 31 of those left were passed over
    for 40 s, and go before a task that somebody watches, with 9 of their like.
    """
    now = 0.0
    waiting = WaitingSegments(RULES, clock=lambda: now)
    waiting.add(in_hand("patient", Lane.BATCH), recording(80))
    assert taken(waiting) == ["patient"] * 10
    now = 40.0
    waiting.add(in_hand("watched", Lane.INTERACTIVE), recording(1))
    order = [taken(waiting)[0] for _ in range(6)]
    assert order == ["patient"] * 4 + ["watched", "patient"]

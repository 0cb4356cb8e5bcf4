"""Any order of calls keeps the promises: Hypothesis drives a real Redis beside a plain model."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import redis
import uuid_utils
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from asr_core.queue import (
    BacklogReader,
    Claim,
    Consumer,
    Failure,
    Finish,
    Outcome,
    Producer,
    RedisConnection,
    Upkeep,
    WorkerRecord,
)
from asr_core.settings import QueueSettings
from asr_core.task import Lane, NewTask, State

T = TypeVar("T")
WORKERS = ("w1", "w2")
QUEUE = QueueSettings(_env_file=None, tenant_window=2, retry_limit=2)


@dataclass
class Model:
    """What must be true of one task."""

    state: State = State.QUEUED
    token: str = ""
    result: str = ""

    @property
    def open(self) -> bool:
        return not self.state.terminal


class QueueMachine(RuleBasedStateMachine):
    """Two workers, two tenants, all lanes; leases are expired by hand, not by waiting."""

    tasks = Bundle("tasks")
    claims = Bundle("claims")
    server: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.raw = redis.Redis(port=self.server.port, decode_responses=True)
        self.raw.flushall()
        self.connection = RedisConnection(self.server.settings())
        self.producer = Producer(self.connection, QUEUE)
        self.reader = BacklogReader(self.connection, QUEUE)
        self.upkeep = Upkeep(self.connection, QUEUE)
        self.run(self.producer.prepare())
        self.workers = {
            name: Consumer(self.connection, QUEUE, pool="default", name=name) for name in WORKERS
        }
        for worker in self.workers.values():
            self.run(worker.beat(_record(worker)))
        self.model: dict[str, Model] = {}
        self.completed = 0
        self.trust_redis()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def trust_redis(self) -> None:
        self.raw.hset("asr:redis_seen", self.raw.info("server")["run_id"], 0)

    def teardown(self) -> None:
        self.run(self.connection.close())
        self.raw.close()
        self.loop.close()

    @rule(target=tasks, tenant=st.sampled_from("ab"), lane=st.sampled_from(Lane))
    def submit(self, tenant: str, lane: Lane) -> str:
        task = NewTask(
            task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1.5, tenant=tenant, lane=lane
        )
        self.run(self.producer.submit(task))
        self.model[task.task_id] = Model()
        return task.task_id

    def took(self, claims: list[Claim]) -> Any:
        for claim in claims:
            task = self.model[claim.task.task_id]
            assert task.state is State.QUEUED, "a running or finished task was handed out"
            task.state, task.token = State.PROCESSING, claim.token
        return multiple(*claims)

    @rule(target=claims, name=st.sampled_from(WORKERS), room=st.integers(1, 5))
    def claim(self, name: str, room: int) -> Any:
        return self.took(
            self.run(self.workers[name].claim(room_seconds=1e6, room_tasks=room, in_hand=0))
        )

    @rule(target=claims, name=st.sampled_from(WORKERS))
    def crash_and_reap(self, name: str) -> Any:
        """Every lease runs out at once; one worker takes over what it may."""
        for lane in Lane:
            for task_id in self.raw.zrange(f"asr:leases:default:{lane}", 0, -1):
                self.raw.zadd(f"asr:leases:default:{lane}", {task_id: 1})
        before = {task_id: task.state for task_id, task in self.model.items()}
        claims = self.run(self.workers[name].reap(room_seconds=1e6, room_tasks=100, in_hand=0))
        for task_id, state in before.items():
            if state is State.PROCESSING:
                self.model[task_id].state = self.state_of(task_id)
                assert self.model[task_id].state is not State.COMPLETED
        for claim in claims:
            self.model[claim.task.task_id].state = State.QUEUED
        return self.took(claims)

    def state_of(self, task_id: str) -> State:
        return State(self.raw.hget(f"asr:task:{task_id}", "state"))

    def expected(self, claim: Claim) -> Outcome:
        task = self.model.get(claim.task.task_id)
        if task is None:
            return Outcome.GONE
        if task.state is State.CANCELLED:
            return Outcome.CANCELLED
        if task.state is State.FAILED or task.token != claim.token:
            return Outcome.FENCED
        return Outcome.OK

    @rule(claim=claims)
    def finish(self, claim: Claim) -> None:
        expected = self.expected(claim)
        result = f"results/{claim.task.task_id}/{claim.task.attempt}.json"
        done = Finish(claim.task.task_id, claim.token, result, 0.1)
        assert self.run(self.workers["w1"].finish([done])) == [expected]
        if expected is Outcome.OK and self.model[claim.task.task_id].open:
            self.completed += 1
            self.model[claim.task.task_id] = Model(State.COMPLETED, claim.token, result)

    @rule(claim=claims, permanent=st.booleans())
    def fail(self, claim: Claim, permanent: bool) -> None:
        expected = self.expected(claim)
        task = self.model.get(claim.task.task_id)
        if task and task.token == claim.token and task.state is State.COMPLETED:
            expected = Outcome.FENCED
        if task and task.token == claim.token and task.state is State.FAILED:
            expected = Outcome.OK
        failure = Failure(claim.task.task_id, claim.token, "x", "y", permanent)
        assert self.run(self.workers["w1"].fail([failure])) == [expected]
        if expected is Outcome.OK and task and task.open:
            task.state = self.state_of(claim.task.task_id)
            assert task.state is State.FAILED or not permanent
            if task.state is State.QUEUED:
                task.token = ""

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        expected = self.expected(claim)
        task = self.model.get(claim.task.task_id)
        if task and expected is Outcome.OK and task.state is not State.PROCESSING:
            expected = Outcome.FENCED
        [outcome] = self.run(self.workers["w1"].release([(claim.task.task_id, claim.token)]))
        assert outcome == expected
        if task and outcome is Outcome.OK:
            task.state, task.token = State.QUEUED, ""

    @rule(task_id=tasks)
    def cancel(self, task_id: str) -> None:
        task = self.model.get(task_id)
        if task and (task.open or task.state is State.CANCELLED):
            self.run(self.producer.cancel(task_id))
            task.state = State.CANCELLED

    @rule(task_id=tasks)
    def retry(self, task_id: str) -> None:
        task = self.model.get(task_id)
        if task and task.state in (State.FAILED, State.CANCELLED):
            self.run(self.producer.retry(task_id))
            self.model[task_id] = Model()

    @rule(task_id=tasks)
    def delete(self, task_id: str) -> None:
        if self.model.pop(task_id, None):
            self.run(self.producer.delete(task_id))

    @rule()
    def retries_fall_due(self) -> None:
        for task_id in self.raw.zrange("asr:delayed:default", 0, -1):
            self.raw.zadd("asr:delayed:default", {task_id: 1})
        self.run(self.upkeep.move_due())

    @rule(lane=st.sampled_from(Lane))
    def the_group_vanishes(self, lane: Lane) -> None:
        name = "asr_tasks" if lane is Lane.NORMAL else f"asr_tasks:{lane}"
        if not self.raw.zcard(f"asr:leases:default:{lane}"):
            self.raw.xgroup_destroy(name, "asr_workers")
            self.run(self.producer.prepare())

    @invariant()
    def every_task_is_where_the_model_says(self) -> None:
        for task_id, task in self.model.items():
            hash_ = self.raw.hgetall(f"asr:task:{task_id}")
            assert hash_["state"] == task.state
            assert hash_.get("result", "") == task.result
        assert int(self.raw.hget("asr:totals", "completed") or 0) == self.completed

    @invariant()
    def counts_are_exact_and_nothing_needs_mending(self) -> None:
        backlog = self.run(self.reader.read())
        opened = sum(task.open for task in self.model.values())
        assert backlog.waiting + backlog.in_flight + backlog.delayed - backlog.delayed_due == opened
        assert backlog.audio_seconds == 1.5 * opened
        running = sum(task.state is State.PROCESSING for task in self.model.values())
        assert backlog.in_flight == running
        mended = self.run(self.upkeep.reconcile(force=True))
        assert mended is not None
        assert not mended.mended, mended


def _record(consumer: Consumer) -> WorkerRecord:
    return WorkerRecord(
        consumer=consumer.name, worker=consumer.name, pool="default", slots=1, busy=0,
        in_flight_seconds=0, throughput=0, startup_seconds=0, model="", engine="", device="",
        version="", tasks_done=0, started_at=0,
    )  # fmt: skip


def test_any_order_of_calls_keeps_the_promises(redis_server: Any) -> None:
    machine = type("Machine", (QueueMachine,), {"server": redis_server})
    case = machine.TestCase
    case.settings = settings(
        max_examples=40, stateful_step_count=40, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    case().runTest()


def test_the_state_machine_would_notice_a_lost_task(redis_server: Any) -> None:
    machine = type("Machine", (QueueMachine,), {"server": redis_server})()
    machine.submit("a", Lane.NORMAL)
    machine.raw.delete("asr_tasks")
    with pytest.raises(AssertionError):
        machine.counts_are_exact_and_nothing_needs_mending()
    machine.teardown()

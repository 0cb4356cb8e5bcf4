"""Any order of calls keeps the promises: Hypothesis drives a real Redis beside a plain model."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import astuple, replace
from typing import Any, TypeVar

import pytest
import redis
import uuid_utils
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
)
from queue_model import Model, ended, failed, finished, opened, released, renewed, running

from asr_core.errors import AudioGone
from asr_core.queue import (
    Backlog,
    BacklogReader,
    Claim,
    Consumer,
    Failure,
    Finish,
    Outcome,
    Producer,
    QueueReconciler,
    RedisConnection,
    Totals,
    WorkerRecord,
)
from asr_core.queue.retention_index import RetentionIndex
from asr_core.settings.queue import QueueSettings
from asr_core.task import Lane, NewTask, State

T = TypeVar("T")
WORKERS = ("w1", "w2", "w3")
QUEUE = QueueSettings(_env_file=None, tenant_window=2, retry_limit=2)


def some(wanted: Callable[[Model], bool]) -> Callable[[Any], Any]:
    """Only where there is such a task: else most steps would do nothing."""
    return precondition(lambda machine: any(wanted(task) for task in machine.model.values()))


class QueueMachine(RuleBasedStateMachine):
    """Three workers, two tenants, all lanes; leases are expired by hand, not by waiting."""

    tasks = Bundle("tasks")
    claims = Bundle("claims")
    server: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.raw = redis.Redis(port=self.server.port, username="admin", decode_responses=True)
        self.raw.flushall()
        self.connection = RedisConnection(self.server.settings())
        self.producer = Producer(self.connection, QUEUE)
        self.reader = BacklogReader(self.connection, QUEUE)
        self.upkeep = QueueReconciler(self.connection, QUEUE)
        self.keeping = RetentionIndex(self.connection)
        self.run(self.producer.prepare())
        self.workers = {
            name: Consumer(self.connection, QUEUE, pool="default", name=name) for name in WORKERS
        }
        for worker in self.workers.values():
            self.run(worker.beat(_record(worker)))
        self.model: dict[str, Model] = {}
        self.completed = self.notified = 0
        self.trust_redis()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def trust_redis(self) -> None:
        self.raw.hset("asr:redis_seen", self.raw.info("server")["run_id"], 0)

    def teardown(self) -> None:
        self.run(self.connection.close())
        self.raw.close()
        self.loop.close()

    def becomes(self, task: Model, state: State) -> None:
        """Every end of a task is told once."""
        if state.terminal and task.open:
            self.notified += task.webhook
        task.state = state

    @rule(
        target=tasks,
        tenant=st.sampled_from("ab"),
        lane=st.sampled_from(Lane),
        webhook=st.sampled_from(["", "https://example.com"]),
    )
    def submit(self, tenant: str, lane: Lane, webhook: str) -> str:
        task = NewTask(
            task_id=str(uuid_utils.uuid7()), bytes=1, duration_seconds=1.5,
            tenant=tenant, lane=lane, webhook=webhook,
        )  # fmt: skip
        self.run(self.producer.submit(task))
        self.model[task.task_id] = Model(webhook=bool(webhook))
        return task.task_id

    @rule(task_id=tasks, webhook=st.booleans())
    def submit_again_as_the_reply_was_lost(self, task_id: str, webhook: bool) -> None:
        if task_id in self.model:
            task = NewTask(task_id=task_id, bytes=1, duration_seconds=1.5)
            assert not self.run(self.producer.submit(task)).created

    def took(self, name: str, claims: list[Claim]) -> Any:
        for claim in claims:
            task = self.model[claim.task.task_id]
            assert task.state is State.QUEUED, "a running or finished task was handed out"
            task.state, task.token, task.owner, task.expired = (
                State.PROCESSING, claim.token, name, False,
            )  # fmt: skip
        return multiple(*claims)

    @rule(
        target=claims,
        name=st.sampled_from(WORKERS),
        room=st.integers(1, 5),
        in_flight=st.integers(0, 1),
    )
    def claim(self, name: str, room: int, in_flight: int) -> Any:
        return self.took(
            name,
            self.run(
                self.workers[name].claim(room_seconds=1e6, room_tasks=room, in_flight=in_flight)
            ),
        )

    @rule(name=st.sampled_from(WORKERS))
    def claim_and_the_reply_is_lost(self, name: str) -> None:
        self.claim(name, 3, 0)

    @some(running)
    @rule(target=claims, name=st.sampled_from(WORKERS))
    def recover(self, name: str) -> Any:
        """All that was begun for a worker, whether its replies came or not."""
        claims = self.run(self.workers[name].recover())
        held = {
            task.token
            for task in self.model.values()
            if task.state is State.PROCESSING and task.owner == name
        }
        assert {claim.token for claim in claims} == held
        return multiple(*claims)

    @some(running)
    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        """A beat: owner and token are checked, and the lease is whole again."""
        task = self.model.get(claim.task.task_id)
        expected = renewed(task, claim.token)
        if task and expected is Outcome.OK:
            task.expired = False
        item = {"task_id": claim.task.task_id, "token": claim.token, "progress": "0.5"}
        reply = self.connection.call(
            "renew", consumer=claim.task.owner, lease_ms=30_000, tasks=[item]
        )
        assert self.run(reply) == [expected.value]

    @some(running)
    @rule(task_id=tasks)
    def lease_runs_out(self, task_id: str) -> None:
        task = self.model.get(task_id)
        if task and task.state is State.PROCESSING:
            task.expired = True
            lane = self.raw.hget(f"asr:task:{task_id}", "lane")
            self.raw.zadd(f"asr:leases:default:{lane}", {task_id: 1})

    @some(running)
    @rule(name=st.sampled_from(WORKERS), times=st.integers(1, 8))
    def every_worker_crashes(self, name: str, times: int) -> None:
        """From the second time on tasks run alone; in the end they are dead letters."""
        for _ in range(times):
            for task_id, task in self.model.items():
                if running(task):
                    self.lease_runs_out(task_id)
            self.reap(name, 100)
            self.claim(name, 5, 0)

    @some(opened)
    @rule(name=st.sampled_from(WORKERS))
    def a_worker_works(self, name: str) -> None:
        self.claim(name, 5, 0)
        for claim in self.run(self.workers[name].recover()):
            self.finish(claim)

    @some(opened)
    @rule(target=claims, name=st.sampled_from(WORKERS), room=st.integers(1, 100))
    def reap(self, name: str, room: int) -> Any:
        """One worker takes over what it may; what crashed too often alone is buried."""
        orphans = [i for i, task in self.model.items() if task.expired and task.open]
        claims = self.run(self.workers[name].reap(room_seconds=1e6, room_tasks=room, in_flight=0))
        for task_id in orphans:
            task = self.model[task_id]
            self.becomes(task, self.state_of(task_id))
            assert task.state is not State.COMPLETED
        for claim in claims:
            self.model[claim.task.task_id].state = State.QUEUED
        return self.took(name, claims)

    @some(running)
    @rule(target=claims, name=st.sampled_from(WORKERS))
    def reap_after_a_silence_in_which_nobody_could_renew(self, name: str) -> Any:
        self.raw.hset("asr:redis_seen", "last", 1)
        orphans = {i for i, task in self.model.items() if task.expired and task.open}
        claims = self.run(self.workers[name].reap(room_seconds=1e6, room_tasks=100, in_flight=0))
        assert not orphans & {claim.task.task_id for claim in claims if claim.task.crashes == 0}
        assert {self.state_of(i) for i in orphans} <= {State.PROCESSING, State.QUEUED}
        self.trust_redis()
        return self.took(name, claims)

    def state_of(self, task_id: str) -> State:
        return State(self.raw.hget(f"asr:task:{task_id}", "state"))

    @rule(claim=claims)
    def finish(self, claim: Claim) -> None:
        task = self.model.get(claim.task.task_id)
        expected = finished(task, claim.token)
        result = f"results/{claim.task.task_id}/{claim.task.attempt}.json"
        done = Finish(claim.task.task_id, claim.token, result, 0.1)
        assert self.run(self.workers["w1"].finish([done])) == [expected]
        if expected is Outcome.OK and task and task.open:
            self.completed += 1
            self.becomes(task, State.COMPLETED)
            task.result = result

    @rule(claim=claims, permanent=st.booleans())
    def fail(self, claim: Claim, permanent: bool) -> None:
        task = self.model.get(claim.task.task_id)
        expected = failed(task, claim.token)
        failure = Failure(claim.task.task_id, claim.token, "x", "y", permanent)
        assert self.run(self.workers["w1"].fail([failure])) == [expected]
        if expected is Outcome.OK and task and task.open:
            self.becomes(task, self.state_of(claim.task.task_id))
            assert task.state is State.FAILED or not permanent
            if task.state is State.QUEUED:
                task.token = ""

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        task = self.model.get(claim.task.task_id)
        expected = released(task, claim.token)
        [outcome] = self.run(self.workers["w1"].release([(claim.task.task_id, claim.token)]))
        assert outcome == expected
        if task and outcome is Outcome.OK:
            task.state, task.token, task.expired = State.QUEUED, "", False

    @rule(task_id=tasks)
    def cancel(self, task_id: str) -> None:
        task = self.model.get(task_id)
        if task and (task.open or task.state is State.CANCELLED):
            self.run(self.producer.cancel(task_id))
            self.becomes(task, State.CANCELLED)

    @some(ended)
    @rule(task_id=tasks)
    def retry(self, task_id: str) -> None:
        task = self.model.get(task_id)
        if task and task.state in (State.FAILED, State.CANCELLED):
            if task.discarded:
                with pytest.raises(AudioGone):
                    self.run(self.producer.retry(task_id))
                return
            self.run(self.producer.retry(task_id))
            self.model[task_id] = Model(webhook=task.webhook)

    @rule(task_id=tasks)
    def delete(self, task_id: str) -> None:
        if task := self.model.pop(task_id, None):
            self.becomes(task, State.CANCELLED)
            self.run(self.producer.delete(task_id))

    @some(ended)
    @rule(task_id=tasks)
    def retention_discards(self, task_id: str) -> None:
        """It looked a moment ago, and marks only what is finished still."""
        _, seen = self.run(self.keeping.snapshots([task_id]))
        marked = self.run(self.keeping.discard(list(seen.values())))
        task = self.model.get(task_id)
        assert bool(marked) == bool(task and not task.open)
        if task and marked:
            task.discarded = True

    @some(ended)
    @rule(task_id=tasks)
    def retention_forgets(self, task_id: str) -> None:
        task = self.model.get(task_id)
        tenant = self.raw.hget(f"asr:task:{task_id}", "tenant") or "a"
        state = task.state if task else State.COMPLETED
        forgotten = self.run(self.keeping.forget(tenant, state, [task_id]))
        assert forgotten == bool(task and task.discarded)
        if forgotten:
            del self.model[task_id]

    @some(opened)
    @rule()
    def retries_fall_due(self) -> None:
        for task_id in self.raw.zrange("asr:delayed:default", 0, -1):
            self.raw.zadd("asr:delayed:default", {task_id: 1})
        self.run(self.upkeep.move_due())

    @some(opened)
    @rule(lane=st.sampled_from(Lane))
    def the_group_vanishes(self, lane: Lane) -> None:
        name = "asr_tasks" if lane is Lane.NORMAL else f"asr_tasks:{lane}"
        if not self.raw.zcard(f"asr:leases:default:{lane}"):
            self.raw.xgroup_destroy(name, "asr_workers")
            self.run(self.producer.prepare())
            assert self.raw.getdel("asr:groups_remade") == "1"

    @some(opened)
    @rule(lane=st.sampled_from(Lane))
    def the_stream_vanishes(self, lane: Lane) -> None:
        if not self.raw.zcard(f"asr:leases:default:{lane}"):
            self.raw.delete("asr_tasks" if lane is Lane.NORMAL else f"asr_tasks:{lane}")
            self.run(self.upkeep.reconcile(force=True))

    @invariant()
    def every_task_is_where_the_model_says(self) -> None:
        for task_id, task in self.model.items():
            hash_ = self.raw.hgetall(f"asr:task:{task_id}")
            assert hash_["state"] == task.state
            assert hash_.get("result", "") == task.result
        assert int(self.raw.hget("asr:totals", "completed") or 0) == self.completed
        assert self.raw.xlen("asr:outbox") == self.notified

    @invariant()
    def counts_are_exact_and_nothing_needs_mending(self) -> None:
        backlog = self.run(self.reader.read())
        opened = sum(task.open for task in self.model.values())
        assert backlog.waiting + backlog.in_flight + backlog.delayed - backlog.delayed_due == opened
        assert backlog.audio_seconds == 1.5 * opened
        running = sum(
            task.state is State.PROCESSING and not task.expired for task in self.model.values()
        )
        assert backlog.in_flight == running
        self.tenants_add_up_to_the_whole(backlog)
        reconciled = self.run(self.upkeep.reconcile(force=True))
        assert reconciled is not None
        assert not reconciled.repaired, reconciled
        assert reconciled.tenants_recounted == 0, reconciled

    def tenants_add_up_to_the_whole(self, backlog: Backlog) -> None:
        """What each tenant is told of itself, together, is what an operator is told of all."""
        own = [self.run(self.reader.read(tenant=tenant)) for tenant in "ab"]
        assert summed(counts(each) for each in own) == counts(backlog)
        totals = [self.run(self.reader.totals(tenant)) for tenant in "ab"]
        assert summed(done(each) for each in totals) == done(self.run(self.reader.totals()))
        self.places_are_those_among_the_tenants_own()

    def places_are_those_among_the_tenants_own(self) -> None:
        places: dict[tuple[str, Lane], list[int]] = {}
        for task_id in self.model:
            task = self.run(self.producer.get(task_id))
            if place := self.run(self.producer.position(task)):
                places.setdefault((task.tenant, task.lane), []).append(place)
        for found in places.values():
            assert sorted(found) == list(range(1, len(found) + 1))


def counts(backlog: Backlog) -> list[float]:
    """Everything in it that adds up and is no matter of the moment, lane by lane."""
    lanes = [number for lane in Lane for number in astuple(backlog.lanes[lane])]
    return [*lanes, backlog.delayed, backlog.dead]


def done(totals: Totals) -> list[float]:
    return list(astuple(replace(totals, since=0.0)))


def summed(rows: Iterable[list[float]]) -> list[float]:
    return [round(sum(column), 3) for column in zip(*rows, strict=True)]


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
    machine.submit("a", Lane.NORMAL, "")
    machine.raw.delete("asr_tasks")
    with pytest.raises(AssertionError):
        machine.counts_are_exact_and_nothing_needs_mending()
    machine.teardown()

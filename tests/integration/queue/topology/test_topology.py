"""The queue under what Sentinels watch, and on a Cluster: failovers and a slot that moves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
import uuid_utils

from asr_api.services import QUEUE_RETRIES
from asr_core.errors import QueueUnavailable
from asr_core.queue import (
    BacklogReader,
    Claim,
    Consumer,
    Finish,
    LeaseKeeper,
    Outcome,
    Producer,
    QueueReconciler,
    RedisConnection,
    TaskWatcher,
)
from asr_core.queue.scripts import script_text
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.task import NewTask, State

pytestmark = pytest.mark.asyncio


def new_task() -> NewTask:
    task_id = str(uuid_utils.uuid7())
    return NewTask(task_id=task_id, bytes=1, duration_seconds=1, idempotency_key=task_id)


@dataclass
class Load:
    """An API that submits and repeats what it was refused, a worker that claims and finishes, and
    its lease thread, as the programs do.
    """

    settings: RedisSettings
    accepted: set[str] = field(default_factory=set)
    refused: int = 0
    done: list[str] = field(default_factory=list)
    renewals: int = 0
    lost: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Load:
        self.queue = QueueSettings(_env_file=None, lease_seconds=30.0)
        self.api = RedisConnection(self.settings, retries=QUEUE_RETRIES)
        self.producer = Producer(self.api, self.queue)
        await self.producer.prepare()
        self.watcher = TaskWatcher(self.api)
        await self.watcher.start()
        self.worker = RedisConnection(self.settings, retries=0)
        self.consumer = Consumer(self.worker, self.queue, pool="default", name="w")
        await self.consumer.prepare()
        self.keeper = LeaseKeeper(
            self.settings, self.queue, consumer="w", progress_deadline_seconds=600,
            on_lost=lambda task_id, *_: self.lost.append(task_id),
        )  # fmt: skip
        self.stopping = False
        self.running = [
            asyncio.create_task(run())
            for run in (self._submit, self._submit, self._work, self._renew)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.keeper.stop()
        await self.watcher.stop()
        await self.api.close()
        await self.worker.close()

    async def _submit(self) -> None:
        while not self.stopping:
            task = new_task()
            while True:
                try:
                    await self.producer.submit(task)
                    break
                except QueueUnavailable:
                    self.refused += 1
                    await asyncio.sleep(0.05)
            self.accepted.add(task.task_id)
            await asyncio.sleep(0.01)

    async def _work(self) -> None:
        unsure = False
        held: dict[str, Claim] = {}
        while True:
            try:
                if unsure:
                    begun = await self.consumer.recover()
                    held, unsure = {claim.task.task_id: claim for claim in begun}, False
                unsure = True
                for claim in await self.consumer.claim(
                    room_seconds=10, room_tasks=10, in_flight=len(held)
                ):
                    held[claim.task.task_id] = claim
                unsure = False
                for claim in held.values():
                    self.keeper.hold(claim.task.task_id, claim.token)
                finishes = [Finish(i, claim.token, "r", 0.1) for i, claim in held.items()]
                outcomes = await self.consumer.finish(finishes)
                for task_id, outcome in zip(held, outcomes, strict=True):
                    if outcome is Outcome.OK:
                        self.done.append(task_id)
                    self.keeper.drop(task_id, held[task_id].token)
                held = {}
            except QueueUnavailable:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.01)

    async def _renew(self) -> None:
        while True:
            self.renewals += await asyncio.to_thread(self.keeper.renew_once)
            await asyncio.sleep(0.05)

    async def goes_on(self) -> None:
        """Ten more tasks are accepted, done and told to whoever watches; leases are renewed."""
        accepted, done, renewals = len(self.accepted), len(self.done), self.renewals
        async with asyncio.timeout(30):
            while (
                len(self.accepted) < accepted + 10
                or len(self.done) < done + 10
                or self.renewals < renewals + 2
            ):
                await asyncio.sleep(0.02)
            task = new_task()
            async with self.watcher.watch(task.task_id) as changes:
                await self.producer.submit(task)
                while (await anext(changes)).state != State.COMPLETED:
                    pass
            self.accepted.add(task.task_id)

    async def is_refused(self) -> None:
        """Several more submits are refused."""
        refused = self.refused
        async with asyncio.timeout(30):
            while self.refused < refused + 5:
                await asyncio.sleep(0.02)

    async def quiet(self) -> None:
        """Stops submitting, and waits until everything that was accepted is done."""
        self.stopping = True
        await asyncio.gather(*self.running[:2])
        async with asyncio.timeout(30):
            while not self.accepted <= set(self.done):
                await asyncio.sleep(0.02)

    def resume(self) -> None:
        self.stopping = False
        self.running[:2] = [asyncio.create_task(self._submit()) for _ in range(2)]

    async def settled(self) -> None:
        """Everything is done, once, and upkeep finds nothing wrong: half of a script, say."""
        await self.quiet()
        assert len(self.done) == len(set(self.done))
        assert set(self.lost) <= set(self.done)  # a renewal may cross a finish
        tasks = [await self.producer.get(task_id) for task_id in self.accepted]
        assert {(task.state, task.attempt) for task in tasks} == {(State.COMPLETED, 1)}
        found = await QueueReconciler(self.api, self.queue).reconcile(force=True)
        assert found is not None
        assert found.repaired == {}


async def switched(what: Any) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.02)


# What a master has accepted and not replicated when it dies is lost, as docs/guarantees.md says: so
# nothing is submitted while it does.


async def test_sentinels_lead_to_the_new_master_after_a_switch_and_after_a_kill(trio: Any) -> None:
    async with Load(trio.settings()) as load:
        await load.goes_on()
        await load.quiet()
        first, second = trio.servers
        trio.in_step(first, second)
        trio.sentinels[0].client().execute_command("SENTINEL FAILOVER", "main")
        await switched(lambda: trio.master() is second)
        load.resume()
        await load.goes_on()
        await load.quiet()
        trio.in_step(second, first)
        first.client().config_set("min-replicas-to-write", 0)
        second.kill()
        load.resume()
        await load.is_refused()
        await load.goes_on()
        await load.settled()


async def test_a_cluster_moves_the_slot_under_load(cluster: Any) -> None:
    async with Load(cluster.settings()) as load:
        await load.goes_on()
        other = next(node for node in cluster.masters if node is not cluster.owner)
        cluster.begin_moving(other)
        await load.is_refused()
        while keys := cluster.next_keys():
            await asyncio.to_thread(cluster.move, other, *keys)
        await load.is_refused()
        cluster.end_moving(other)
        await load.goes_on()
        await load.settled()
    with other.client() as raw:
        there = raw.execute_command("CLUSTER", "COUNTKEYSINSLOT", cluster.slot)
        assert there == raw.dbsize() > 0


async def test_no_script_runs_by_half_while_the_slot_is_moved(cluster: Any) -> None:
    """Some keys are here, some there: a script would fail between two of its writes."""
    settings = QueueSettings(_env_file=None)
    connection = RedisConnection(cluster.settings())
    producer = Producer(connection, settings)
    await producer.prepare()
    consumer = Consumer(connection, settings, pool="default", name="w")
    ids = [(await producer.submit(new_task())).task_id for _ in range(4)]
    claims = await consumer.claim(room_seconds=10, room_tasks=2, in_flight=0)
    other = next(node for node in cluster.masters if node is not cluster.owner)
    cluster.begin_moving(other)
    keys = connection.keys
    cluster.move(other, keys.totals, keys.tenants, keys.history("default", "queued"))
    before = dump(cluster.owner), dump(other)

    async def nothing_is_done() -> None:
        for call in (
            producer.submit(new_task()),
            producer.cancel(ids[3]),
            consumer.finish([Finish(c.task.task_id, c.token, "r", 0.1) for c in claims]),
            consumer.release([(c.task.task_id, c.token) for c in claims]),
            consumer.claim(room_seconds=10, room_tasks=2, in_flight=0),
        ):
            with pytest.raises(QueueUnavailable, match="the Cluster is moving the slot"):
                await call

    await nothing_is_done()
    assert (dump(cluster.owner), dump(other)) == before
    cluster.move(other, keys.schema)  # now the old owner sends scripts to the new one
    before = dump(cluster.owner), dump(other)
    await nothing_is_done()
    with other.client() as raw:
        raw.execute_command("ASKING")
        with pytest.raises(redis.exceptions.ResponseError, match=r"non local key|rehashing of"):
            raw.eval(script_text("finish", keys), 1, keys.schema, '{"tasks": []}')
    assert (dump(cluster.owner), dump(other)) == before
    await connection.close()


def dump(node: Any) -> dict[str, bytes]:
    """Every key, as it is to the last bit."""
    found = {}
    with redis.Redis("127.0.0.1", node.port, password=node.password) as raw:
        for key in sorted(raw.keys("*")):
            raw.execute_command("ASKING")
            found[key] = raw.dump(key)
    return found


async def test_a_cluster_fails_over_under_load_and_after_a_kill(cluster: Any) -> None:
    first, second = cluster.owner, cluster.replica
    async with Load(cluster.settings()) as load:
        await load.goes_on()
        second.client().execute_command("CLUSTER", "FAILOVER")  # it hands over what it has
        await switched(lambda: first.client().info("replication")["role"] == "slave")
        await load.goes_on()
        await load.quiet()
        cluster.in_step(second, first)
        second.kill()
        load.resume()
        await load.is_refused()
        await load.goes_on()
        await load.settled()


@pytest.mark.parametrize("place", ["tls_trio", "tls_cluster"])
async def test_passwords_and_tls_go_with_both(place: str, request: Any) -> None:
    settings = (await asyncio.to_thread(request.getfixturevalue, place)).settings()
    async with Load(settings) as load:
        await load.goes_on()
        await load.settled()
        backlog = await BacklogReader(load.api, load.queue).read()
        assert (backlog.signal, backlog.waiting) == ("ok", 0)
    untrusting = RedisConnection(settings.model_copy(update={"ca_file": None}))
    with pytest.raises(QueueUnavailable, match="certificate verify failed"):
        await untrusting.ready()
    await untrusting.close()

"""Programs of release 1, frozen, and of this one on one Redis: each works on the other's tasks."""

import asyncio
import json
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from asr_core.queue import Claim, Consumer, Failure, Fetching, Finish, LeaseKeeper, Outcome
from asr_core.queue.record import to_hash
from asr_core.task import NewTask, TaskOptions

pytestmark = pytest.mark.asyncio

RELEASE_1 = Path(__file__).parents[2] / "fixtures" / "release-1"
LEASE_MS = 400
WINDOW = 16
Held = list[tuple[str, str]]


class Release(Protocol):
    """What a program does with the queue. A held task is (task id, token)."""

    name: str

    async def join(self) -> None: ...
    async def submit(self, task_id: str, key: str = "") -> str: ...
    async def claim(self, *, in_hand: int = 0) -> Held: ...
    async def reap(self) -> Held: ...
    async def recover(self) -> Held: ...
    async def renew(self, held: Held) -> list[str]: ...
    async def finish(self, held: Held) -> list[str]: ...
    async def fail(self, held: Held) -> list[str]: ...
    async def release(self, held: Held) -> list[str]: ...
    async def cancel(self, task_id: str) -> None: ...
    async def retry(self, task_id: str) -> None: ...
    async def delete(self, task_id: str) -> None: ...
    async def move_due(self) -> int: ...
    async def reconcile(self) -> tuple[int, int]: ...
    async def backlog(self) -> tuple[int, int, int, int]: ...


class Frozen:
    """Release 1: its scripts with the arguments that it gave them."""

    def __init__(self, queue: Any, name: str) -> None:
        self.name = name
        self._redis = queue.connection.client
        head = (RELEASE_1 / "head.lua").read_text()
        self._scripts = {}
        for file in RELEASE_1.glob("*.lua"):
            shebang, body = file.read_text().split("\n", 1)
            self._scripts[file.stem] = self._redis.register_script(f"{shebang}\n{head}\n{body}")
        self._calls = 0

    async def _call(self, script: str, **arguments: Any) -> Any:
        return await self._scripts[script](keys=["asr:schema"], args=[json.dumps(arguments)])

    async def join(self) -> None:
        record = {"consumer": self.name, "worker": self.name, "pool": "default", "slots": "4"}
        await self._call("beat", consumer=self.name, pool="default", record=record, ttl_ms=30_000)

    async def submit(self, task_id: str, key: str = "") -> str:
        task = json.loads((RELEASE_1 / "task.json").read_text())
        task |= {"task_id": task_id, "idempotency_key": key, "webhook": ""}
        _, known, _ = await self._call(
            "submit", task=task, cap=1000, window=WINDOW, idempotency_ms=86_400_000
        )
        return str(known)

    async def claim(self, *, in_hand: int = 0) -> Held:
        return await self._take("claim", in_hand)

    async def reap(self) -> Held:
        return await self._take("reap", 0)

    async def _take(self, script: str, in_hand: int) -> Held:
        self._calls += 1
        reply = await self._call(
            script, pool="default", consumer=self.name, worker=self.name,
            token=f"{self.name}:{self._calls}", room_ms=1_000_000, room_tasks=100,
            in_hand=in_hand, lease_ms=LEASE_MS, window=WINDOW,
        )  # fmt: skip
        return _held(reply)

    async def recover(self) -> Held:
        return _held(await self._call("recover", pool="default", consumer=self.name))

    async def renew(self, held: Held) -> list[str]:
        tasks = [{"task_id": i, "token": token, "progress": "0.5"} for i, token in held]
        arguments = {"consumer": self.name, "lease_ms": LEASE_MS, "tasks": tasks}
        return list(await self._call("renew", **arguments))

    async def finish(self, held: Held) -> list[str]:
        tasks = [
            {"task_id": i, "token": token, "result": f"results/{i}/1.json", "processing_ms": 100}
            for i, token in held
        ]
        return list(await self._call("finish", tasks=tasks))

    async def fail(self, held: Held) -> list[str]:
        told = {"code": "engine_failed", "message": "m", "permanent": False, "jitter": 1.0}
        tasks = [{"task_id": i, "token": token, **told} for i, token in held]
        return list(await self._call("fail", tasks=tasks, retry_limit=5, backoff_ms=1))

    async def release(self, held: Held) -> list[str]:
        tasks = [{"task_id": i, "token": token} for i, token in held]
        return list(await self._call("release", tasks=tasks, lease_ms=LEASE_MS))

    async def cancel(self, task_id: str) -> None:
        assert (await self._call("cancel", task_id=task_id, tenant=""))[0] == "ok"

    async def retry(self, task_id: str) -> None:
        verdict, _ = await self._call(
            "retry", task_id=task_id, tenant="", dead_only=False, cap=1000, window=WINDOW
        )
        assert verdict == "ok"

    async def delete(self, task_id: str) -> None:
        assert (await self._call("delete", task_id=task_id, tenant=""))[0] == "ok"

    async def move_due(self) -> int:
        return int(await self._call("move_due", pool="default", limit=1000, window=WINDOW))

    async def reconcile(self) -> tuple[int, int]:
        readded = 0
        for state in ("queued", "processing"):
            ids = await self._redis.zrange(f"asr:history:default:{state}", 0, -1)
            readded += (
                await self._call("reconcile", ids=ids, tenant="default", state=state, window=WINDOW)
            )[0]
        counts = await self._call(
            "recount", pool="default", window=WINDOW, consumer_idle_ms=3_600_000
        )
        return readded, int(counts[0])

    async def backlog(self) -> tuple[int, int, int, int]:
        _, _, _, lanes, delayed, due, _, _ = await self._call(
            "backlog", pool="default", lease_ms=LEASE_MS
        )
        waiting = sum(lane[1] + lane[3] + lane[4] for lane in lanes) + due
        return waiting, sum(lane[2] for lane in lanes), delayed, sum(lane[5] for lane in lanes)


class Current:
    """This release, through its own classes."""

    def __init__(self, queue: Any, name: str) -> None:
        self.name = name
        self._queue = queue
        self._consumer = Consumer(queue.connection, queue.settings, pool="default", name=name)

    async def join(self) -> None:
        await self._queue.consumer(self.name)

    async def submit(self, task_id: str, key: str = "") -> str:
        task = full_task(task_id).model_copy(update={"idempotency_key": key, "webhook": ""})
        return str((await self._queue.producer.submit(task)).task_id)

    async def claim(self, *, in_hand: int = 0) -> Held:
        return _known(await self._queue.claim(self._consumer, in_hand=in_hand))

    async def reap(self) -> Held:
        return _known(await self._queue.reap(self._consumer))

    async def recover(self) -> Held:
        return _known(await self._consumer.recover())

    async def renew(self, held: Held) -> list[str]:
        lost: dict[str, str] = {}
        keeper = LeaseKeeper(
            self._queue.redis_settings, self._queue.settings, consumer=self.name,
            progress_deadline_seconds=60,
            on_lost=lambda task_id, _token, outcome: lost.update({task_id: outcome.value}),
        )  # fmt: skip
        for task_id, token in held:
            keeper.hold(task_id, token)
        assert await asyncio.to_thread(keeper.renew_once)
        return [lost.get(task_id, "ok") for task_id, _ in held]

    async def finish(self, held: Held) -> list[str]:
        done = [Finish(i, token, f"results/{i}/1.json", 0.1) for i, token in held]
        return [outcome.value for outcome in await self._consumer.finish(done)]

    async def fail(self, held: Held) -> list[str]:
        failures = [Failure(i, token, "engine_failed", "m", False) for i, token in held]
        return [outcome.value for outcome in await self._consumer.fail(failures)]

    async def release(self, held: Held) -> list[str]:
        return [outcome.value for outcome in await self._consumer.release(held)]

    async def cancel(self, task_id: str) -> None:
        await self._queue.producer.cancel(task_id)

    async def retry(self, task_id: str) -> None:
        await self._queue.producer.retry(task_id)

    async def delete(self, task_id: str) -> None:
        await self._queue.producer.delete(task_id)

    async def move_due(self) -> int:
        return int(await self._queue.upkeep.move_due())

    async def reconcile(self) -> tuple[int, int]:
        mended = await self._queue.upkeep.reconcile(force=True)
        return mended.readded, mended.corrected

    async def backlog(self) -> tuple[int, int, int, int]:
        b = await self._queue.backlog()
        return b.waiting, b.in_flight, b.delayed, round(b.audio_seconds * 1000)


def _held(reply: list[Any]) -> Held:
    found = []
    for token, _solo, flat in reply:
        hash_ = dict(zip(flat[::2], flat[1::2], strict=True))
        found.append((hash_["task_id"], token))
    return found


def _known(claims: list[Claim]) -> Held:
    return [(claim.task.task_id, claim.token) for claim in claims]


def full_task(task_id: str = "0197d4a5-2f6e-7c3a-9b1d-4e8f2a6c0d11") -> NewTask:
    """The task that release 1 wrote `task.json` of."""
    return NewTask(
        task_id=task_id, bytes=3, duration_seconds=2.0, filename="call.wav",
        content_type="audio/wav", options=TaskOptions(language="en", hotwords=("asr",)),
        fingerprint="f", idempotency_key="key-1", webhook="https://example.com/hook",
    )  # fmt: skip


@pytest_asyncio.fixture(params=["release 1 and this one", "this one and release 1"])
async def two(queue: Any, request: pytest.FixtureRequest) -> tuple[Release, Release]:
    """Two programs, both joined."""
    old, new = Frozen(queue, "old-worker"), Current(queue, "new-worker")
    await old.join()
    await new.join()
    return (old, new) if request.param.startswith("release") else (new, old)


async def agree(one: Release, other: Release, *counts: int) -> None:
    assert await one.backlog() == await other.backlog() == counts


async def nothing_is_left(queue: Any, *releases: Release) -> None:
    await agree(releases[0], releases[1], 0, 0, 0, 0)
    for release in releases:
        assert await release.reconcile() == (0, 0)
    assert queue.raw.xlen("asr_tasks") == 0


async def test_what_one_submits_the_other_completes(queue: Any, two: Any) -> None:
    one, other = two
    ids = [await one.submit(f"task-{n}") for n in range(40)]
    await agree(one, other, 40, 0, 0, 80_000)
    done: Held = []
    while held := await other.claim():
        assert set(await other.renew(held)) == {"ok"}
        assert set(await other.finish(held)) == {"ok"}
        done += held
    assert sorted(i for i, _ in done) == sorted(ids)
    task = await queue.producer.get(ids[0])
    assert (task.state, task.attempt, task.options.language) == ("completed", 1, "en")
    await nothing_is_left(queue, one, other)


async def test_a_task_of_a_dead_one_is_taken_over_by_the_other_and_fenced(
    queue: Any, two: Any
) -> None:
    one, other = two
    await one.submit("task")
    stale = await one.claim()
    await queue.trusted()
    await asyncio.sleep(LEASE_MS / 1000 + 0.02)
    taken = await other.reap()
    assert [i for i, _ in taken] == ["task"]
    assert await one.renew(stale) == await one.finish(stale) == ["fenced"]
    assert await other.recover() == taken
    assert await other.finish(taken) == ["ok"]
    await nothing_is_left(queue, one, other)


async def test_what_one_hands_back_the_other_takes_at_once(queue: Any, two: Any) -> None:
    one, other = two
    await one.submit("task")
    held = await one.claim()
    assert await one.release(held) == ["ok"]
    await agree(one, other, 1, 0, 0, 2000)
    taken = await other.reap()
    assert await one.finish(held) == ["fenced"]
    assert await other.finish(taken) == ["ok"]
    assert (await queue.producer.get("task")).attempt == 1
    await nothing_is_left(queue, one, other)


async def test_what_failed_in_one_is_run_again_by_the_other(queue: Any, two: Any) -> None:
    one, other = two
    await one.submit("task")
    assert await one.fail(await one.claim()) == ["ok"]
    while not queue.raw.zcount("asr:delayed:default", "-inf", queue.raw.time()[0] * 1000):
        await asyncio.sleep(0.01)
    assert await other.move_due() == 1
    taken = await other.claim()
    assert await other.finish(taken) == ["ok"]
    await nothing_is_left(queue, one, other)


async def test_cancel_retry_and_delete_reach_across(queue: Any, two: Any) -> None:
    one, other = two
    for task_id in ("cancelled", "deleted"):
        await one.submit(task_id)
    held = [claim for _ in range(2) for claim in await one.claim()]
    assert len(held) == 2
    await other.cancel("cancelled")
    await other.delete("deleted")
    outcomes = {i: outcome for (i, _), outcome in zip(held, await one.renew(held), strict=True)}
    assert outcomes == {"cancelled": "cancelled", "deleted": "gone"}
    await one.retry("cancelled")
    [(task_id, token)] = await other.claim()
    assert await other.finish([(task_id, token)]) == ["ok"]
    await nothing_is_left(queue, one, other)


async def test_one_key_is_one_task_for_both(queue: Any, two: Any) -> None:
    one, other = two
    assert await one.submit("first", "key-1") == "first"
    assert await other.submit("second", "key-1") == "first"
    await agree(one, other, 1, 0, 0, 2000)


async def test_what_fell_out_is_put_back_by_either_and_run_by_either(queue: Any, two: Any) -> None:
    one, other = two
    for number in range(30):
        await (one, other)[number % 2].submit(f"task-{number}")
    held = await one.claim()
    queue.raw.xgroup_destroy("asr_tasks", "asr_workers")
    taken = await other.claim()
    assert not {i for i, _ in held} & {i for i, _ in taken}
    for task_id, _ in held + taken:  # none is to lapse on a busy machine
        queue.raw.zincrby("asr:leases:default:normal", 60_000, task_id)
    for number in range(30, 40):
        await (one, other)[number % 2].submit(f"task-{number}")
    await asyncio.sleep(0.002)  # release 1 mixes up entries of old and new streams of one moment
    queue.raw.delete("asr_tasks")
    readded, _ = await other.reconcile()
    assert readded > 0
    assert await one.reconcile() == (0, 0)
    await one.finish(held)
    while taken:
        await other.finish(taken)
        taken = await other.claim() + await one.claim()
    assert (await queue.reader.totals()).completed == 40
    await nothing_is_left(queue, one, other)


async def test_poison_is_counted_by_both_and_put_back_by_either(queue: Any, two: Any) -> None:
    one, other = two
    await one.submit("poison")
    await queue.trusted()
    victims = [one, other] * 3
    while not queue.raw.xlen("asr_tasks:dead"):
        victim = victims.pop()
        await victim.claim() or await victim.reap()
        await asyncio.sleep(LEASE_MS / 1000 + 0.02)
        await victims[-1].reap() if victims else await one.reap()
    task = await queue.producer.get("poison")
    assert (task.state, task.solo_crashes) == ("failed", 3)
    await other.retry("poison")
    assert await one.finish(await one.claim()) == ["ok"]
    await nothing_is_left(queue, one, other)


async def test_the_record_of_a_task_has_the_fields_of_release_1(queue: Any) -> None:
    frozen = json.loads((RELEASE_1 / "task.json").read_text())
    assert to_hash(full_task()).items() >= frozen.items()


async def test_release_1_leaves_a_task_that_is_being_fetched_alone_and_can_delete_it(
    queue: Any,
) -> None:
    old, fetching = Frozen(queue, "old-worker"), Fetching(queue.connection, queue.settings)
    for task_id in ("task-1", "task-2"):
        update = {"source_url": "https://example.com/a.wav", "idempotency_key": "", "webhook": ""}
        await queue.producer.submit(full_task(task_id).model_copy(update=update))
    assert await old.reconcile() == (0, 0)
    assert await old.claim() == []
    await old.delete("task-1")
    taken = await fetching.take(token="t", limit=9, per_line=9, busy={})
    assert [fetch.task.task_id for fetch in taken] == ["task-2"]
    done = {"size_bytes": 3, "duration_seconds": 2.0, "content_type": "audio/wav"}
    assert await fetching.fetched(taken[0], **done) is Outcome.OK
    assert await fetching.fetched(taken[0], **done) is Outcome.OK
    await queue.upkeep.reconcile(force=True)
    assert await fetching.depth() == 0
    held = await old.claim()
    assert held[0][0] == "task-2"
    assert await old.finish(held) == ["ok"]
    await nothing_is_left(queue, old, Current(queue, "new-worker"))

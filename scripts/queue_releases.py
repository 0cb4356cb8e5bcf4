"""Programs of release 1, frozen, and of this one: what each does with the queue."""

import asyncio
import json
from pathlib import Path
from typing import Any, Protocol

from asr_core.options import TaskOptions
from asr_core.queue import Claim, Consumer, Failure, Finish, LeaseKeeper
from asr_core.task import NewTask

RELEASE_1 = Path(__file__).parents[1] / "tests" / "fixtures" / "release-1"
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
        failure = {"code": "engine_failed", "message": "m", "permanent": False, "jitter": 1.0}
        tasks = [{"task_id": i, "token": token, **failure} for i, token in held]
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
        return _known(await self._queue.claim(self._consumer, in_flight=in_hand))

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

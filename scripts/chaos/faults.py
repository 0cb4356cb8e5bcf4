"""Makes the planned faults happen. What was done is in the ledger; so is what could not be."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import redis.exceptions

from asr_core.errors import AsrError
from asr_core.keys import GROUP
from asr_core.task import DEFAULT_POOL, Lane
from chaos.ledger import Ledger
from chaos.plan import FAULTS, Fault
from chaos.programs import command_of, family
from chaos.proxy import FaultProxy
from chaos.stage import Served, Stage
from chaos.watch import Watcher

SNAG_SECONDS = 15.0
CHOOSE_SECONDS = 10.0
RECONCILE_SECONDS = 60.0  # until the APIs' next pass queues again what stood in a deleted stream


@dataclass(frozen=True)
class Snagging:
    """Which script is stopped, where, and what happens then: its connection is cut, its program
    killed, or it is let pass after all, when its sender has long given up.
    """

    needle: bytes
    at: Literal["request", "reply"]
    then: Literal["cut", "kill", "pass"]


CLAIM, FINISH, SUBMIT = b'"room_ms"', b'"processing_ms"', b'"idempotency_ms"'
SNAGS = {
    "lose_claim": Snagging(CLAIM, "reply", "cut"),
    "lose_finish": Snagging(FINISH, "reply", "cut"),
    "lose_submit": Snagging(SUBMIT, "reply", "cut"),
    "late_claim": Snagging(CLAIM, "request", "pass"),
    "late_finish": Snagging(FINISH, "request", "pass"),
    "late_submit": Snagging(SUBMIT, "request", "pass"),
    "kill_at_claim": Snagging(CLAIM, "reply", "kill"),
    "kill_at_finish": Snagging(FINISH, "request", "kill"),
    "kill_at_submit": Snagging(SUBMIT, "request", "kill"),
    "kill_at_reply": Snagging(SUBMIT, "reply", "kill"),
}
CHILDREN = {"kill_decoder": "spawn_main", "kill_probe": "asr_api.probe"}
ENDING = frozenset(k for k in FAULTS if k.startswith(("kill_", "term_")) and k not in CHILDREN)


@dataclass(eq=False)
class Faults:
    """Runs a plan. `done` counts the faults that happened, by kind, `missed` those that could not.

    `left_behind`: children of programs that were killed; they must end by themselves.
    `spare_first`: worker 1 and API 1 are never ended, so that their memory tells something.
    """

    stage: Stage
    watcher: Watcher
    ledger: Ledger
    spare_first: bool = False
    done: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    left_behind: set[int] = field(default_factory=set)

    async def run(self, plan: Sequence[Fault]) -> None:
        """All faults in their turn; returns when the last is over and everything runs again."""
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                while len(self.ledger.accepted) < fault.after_tasks:
                    await asyncio.sleep(0.05)
                group.create_task(self._happen(fault))
        await self.stage.all_ready()

    async def _happen(self, fault: Fault) -> None:
        target = FAULTS[fault.kind].target
        one = None if target == "all" else await self._choose(target, fault)
        name = one.program.name if one else target
        if target != "all" and one is None:
            self.missed[fault.kind] += 1
            return
        self.ledger.did(f"{fault.kind} of {name} begins")
        try:
            happened = await (self._hit(fault, one) if one else self._hit_all(fault))
        except (redis.exceptions.RedisError, OSError, AsrError) as error:
            self.ledger.did(f"{fault.kind}: {error!r}")
            happened = False
        finally:
            if one:
                one.fault = ""
        (self.done if happened else self.missed)[fault.kind] += 1
        self.ledger.did(f"{fault.kind} of {name} {'over' if happened else 'MISSED'}")

    async def _choose(self, target: str, fault: Fault) -> Served | None:
        """A program to hit; None if all stay in trouble for longer than it is worth waiting."""
        give_up_at = time.monotonic() + CHOOSE_SECONDS
        while time.monotonic() < give_up_at:
            if one := await self._free(target, fault):
                return one
            await asyncio.sleep(0.1)
        return None

    async def _free(self, target: str, fault: Fault) -> Served | None:
        """The program with the fault's number, or the next one that is not in trouble already.

        One worker at a time is out for longer than a lease: the others are to take over.
        """
        crowd = self.stage.workers if target == "worker" else self.stage.apis
        if FAULTS[fault.kind].leases and any(FAULTS[o.fault].leases for o in crowd if o.fault):
            return None
        start = fault.number - 1
        at_work = await self.stage.ready_workers() if target == "worker" else None
        spared = crowd[0] if self.spare_first and fault.kind in ENDING else None
        for one in [*crowd[start:], *crowd[:start]]:
            if one is spared:
                continue
            ready = at_work is None or one.program.name in at_work
            if not one.fault and one.program.pid is not None and ready:
                one.fault = fault.kind
                return one
        return None

    async def _hit(self, fault: Fault, one: Served) -> bool:
        """A fault of one API or worker."""
        if fault.kind in CHILDREN:
            return self._kill_child(one, CHILDREN[fault.kind])
        if fault.kind in SNAGS:
            return await self._snag(one, SNAGS[fault.kind], fault.seconds)
        match fault.kind.split("_")[0]:
            case "kill":
                return await self._kill(one, fault.seconds)
            case "term":
                return await self._term(one)
            case "stop":
                return await self._stop(one, fault.seconds)
            case _:
                return await self._partition(one, fault.seconds)

    async def _kill(self, one: Served, down_seconds: float) -> bool:
        pid = one.program.lives[-1].pid
        children = family(pid)
        if not one.program.send(signal.SIGKILL, restart_after_seconds=down_seconds):
            return False
        await one.program.ended()
        self.left_behind.update(children)
        await self._bereave(one, pid)
        return True

    async def _term(self, one: Served) -> bool:
        if not one.program.send(signal.SIGTERM):
            return False
        life = one.program.lives[-1]
        await one.program.ended()
        self.ledger.did(f"{one.program.name} ended with status {life.status} at SIGTERM")
        return True

    async def _stop(self, one: Served, seconds: float) -> bool:
        if not one.program.send(signal.SIGSTOP):
            return False
        await self._bereave(one, one.program.lives[-1].pid)
        await asyncio.sleep(seconds)
        one.troubled_until = time.time()
        one.program.send(signal.SIGCONT)
        return True

    async def _partition(self, one: Served, seconds: float) -> bool:
        """Bytes vanish in both directions; then, as a network does it at last, resets."""
        one.troubled_until = time.time() + seconds
        one.redis_proxy.swallowing = True
        await self._bereave(one, one.program.lives[-1].pid)
        await asyncio.sleep(seconds)
        one.redis_proxy.swallowing = False
        one.redis_proxy.cut()
        return True

    async def _snag(self, one: Served, how: Snagging, hold_seconds: float) -> bool:
        """Stop one script on its way, or its reply, and let something happen meanwhile."""
        proxy = one.redis_proxy
        stop = proxy.stop_request if how.at == "request" else proxy.stop_reply
        snag = stop(how.needle)
        try:
            await asyncio.wait_for(snag.caught.wait(), SNAG_SECONDS)
        except TimeoutError:
            proxy.forget(snag)
            return False
        killed = await self._kill(one, 0.0) if how.then == "kill" else True
        await asyncio.sleep(hold_seconds)
        if how.then == "pass":
            snag.release()
        else:
            snag.cut()
        return killed

    def _kill_child(self, one: Served, what: str) -> bool:
        assert one.program.pid is not None
        children = [pid for pid in family(one.program.pid) if what in command_of(pid)]
        if not children:
            return False
        with suppress(ProcessLookupError):
            os.kill(random.choice(children), signal.SIGKILL)
            return True
        return False

    async def _bereave(self, one: Served, pid: int) -> None:
        if one in self.stage.workers:
            count = await self.watcher.bereave(one.program.name, pid)
            self.ledger.did(f"{one.program.name} held {count} tasks")

    async def _hit_all(self, fault: Fault) -> bool:
        """A fault of Redis or the store."""
        client, keys = self.stage.connection.client, self.stage.connection.keys
        streams = [keys.stream(DEFAULT_POOL, lane) for lane in Lane]
        match fault.kind:
            case "kill_redis":
                await self.stage.restart_redis(fault.seconds)
                self.watcher.redis_restarted()
            case "cut_connections":
                for proxy in self._proxies():
                    proxy.cut()
            case "flush_scripts":
                await client.script_flush()
            case "destroy_group":
                return any([await _destroy(client, stream) for stream in streams])
            case "delete_stream":
                self.watcher.excuse("the stream was deleted", RECONCILE_SECONDS)
                return bool(await client.delete(*streams))
            case "store_away":
                await self._store_away(fault.seconds)
        return True

    async def _store_away(self, seconds: float) -> None:
        proxies = [one.store_proxy for one in self.stage.served if one.store_proxy]
        self.stage.store_troubled_until = time.time() + seconds + 5.0
        for proxy in proxies:
            proxy.refusing = True
            proxy.cut()
        await asyncio.sleep(seconds)
        for proxy in proxies:
            proxy.refusing = False

    def _proxies(self) -> list[FaultProxy]:
        served = self.stage.served
        stores = [one.store_proxy for one in served if one.store_proxy]
        return [one.redis_proxy for one in served] + stores


async def _destroy(client: redis.asyncio.Redis, stream: str) -> bool:
    with suppress(redis.exceptions.ResponseError):  # no such stream yet
        return bool(await client.xgroup_destroy(stream, GROUP))
    return False

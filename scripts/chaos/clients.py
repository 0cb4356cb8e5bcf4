"""Good clients: real uploads, an idempotency key each, and again whenever no answer came."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from asr_core.result import Transcript
from chaos.clips import Clip
from chaos.ledger import Ledger, Order

LANES = ("normal", "normal", "interactive", "batch")
TWICE_SHARE = 0.05
DELETE_SHARE = 0.05
LOOK_SHARE = 0.15
DOOMED_SHARE = 0.05
LONG_SHARE = 0.08
TIMEOUT_SECONDS = 60.0
_AGAIN = frozenset({429, 503, 507})
_LONGEST_PAUSE_SECONDS = 2.0


def draw_order(seed: int, number: int, clips: Sequence[Clip]) -> Order:
    """The order with this number: a pure function of seed and number."""
    chance = random.Random(f"order {seed} {number}")
    return Order(
        key=f"chaos-{seed}-{number}",
        clip=_draw_clip(chance, clips),
        lane=chance.choice(LANES),
        twice=chance.random() < TWICE_SHARE,
        delete_after_seconds=chance.expovariate(1) if chance.random() < DELETE_SHARE else None,
        looks_after_seconds=chance.uniform(1, 20) if chance.random() < LOOK_SHARE else None,
    )


def _draw_clip(chance: random.Random, clips: Sequence[Clip]) -> Clip:
    kind = chance.random()
    doomed, long = kind < DOOMED_SHARE, kind > 1 - LONG_SHARE
    return chance.choice([clip for clip in clips if (clip.doomed, clip.long) == (doomed, long)])


class UnexpectedAnswer(Exception):
    """A status that no good client should ever see here."""


@dataclass(eq=False)
class Clients:
    """Any number of clients on one HTTP client; `close` when the last order is through."""

    urls: Sequence[str]
    ledger: Ledger
    http: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS, limits=httpx.Limits(max_connections=200)
        )
    )

    async def close(self) -> None:
        await self.http.aclose()

    async def place(self, order: Order) -> None:
        """Submit until a 202 has come; then look or delete, if this order is to."""
        self.ledger.add(order)
        times = 2 if order.twice else 1
        await asyncio.gather(*(self._submit(order) for _ in range(times)))
        try:
            await self._look_and_delete(order)
        except UnexpectedAnswer as error:
            order.note(str(error))
            order.refused = str(error)

    async def _look_and_delete(self, order: Order) -> None:
        if order.looks_after_seconds is not None and order.accepted_ids:
            await asyncio.sleep(order.looks_after_seconds)
            order.seen_result = await self.result(order.task_id) or ""
        # A request that was never answered may still bring the task anew, once its key is gone.
        if order.delete_after_seconds is not None and order.accepted_ids and order.clean:
            await asyncio.sleep(order.delete_after_seconds)
            await self._delete(order)

    async def result(self, task_id: str) -> str | None:
        """The transcript as JSON, once the task is completed. Raises UnexpectedAnswer."""
        body = (await self._ask("GET", f"/api/v1/asr/result/{task_id}")).json()
        if body["status"] != "completed":
            return None
        return Transcript.model_validate(body["result"]).model_dump_json()

    async def _submit(self, order: Order) -> None:
        for attempt in range(10_000):
            url = random.choice(self.urls)
            try:
                answer = await self.http.post(
                    f"{url}/api/v1/asr/submit",
                    headers={"Idempotency-Key": order.key},
                    data={"lane": order.lane},
                    files={"audio": (order.clip.name, order.clip.data, "audio/wav")},
                )
            except httpx.TransportError as error:
                order.clean = False
                order.note(f"submit {url}: {error!r}")
                await self._pause(attempt)
                continue
            if answer.status_code == 202:
                task_id = answer.json()["task_id"]
                order.accepted_ids.add(task_id)
                order.note(f"submit {url}: 202 {task_id}")
                order.accepted_at = order.accepted_at or order.events[-1].at
                return
            order.note(f"submit {url}: {answer.status_code} {answer.text[:200]}")
            if answer.status_code not in _AGAIN:
                order.refused = f"{answer.status_code} {answer.text[:500]}"
                return
            await self._pause(attempt, answer.headers.get("retry-after"))
        order.refused = "no 202 after 10,000 attempts"

    async def _delete(self, order: Order) -> None:
        order.note("delete")
        answer = await self._ask("DELETE", f"/api/v1/asr/task/{order.task_id}")
        order.note(f"delete: {answer.status_code}")
        order.deleted = True

    async def _ask(self, method: str, path: str) -> httpx.Response:
        """Until an answer comes that is no 503. A 404 may be that of a deletion done before."""
        for attempt in range(10_000):
            try:
                answer = await self.http.request(method, random.choice(self.urls) + path)
            except httpx.TransportError:
                await self._pause(attempt)
                continue
            if answer.status_code in _AGAIN:
                await self._pause(attempt, answer.headers.get("retry-after"))
                continue
            if answer.status_code != 200 and (method, answer.status_code) != ("DELETE", 404):
                raise UnexpectedAnswer(f"{method} {path}: {answer.status_code} {answer.text}")
            return answer
        raise TimeoutError(f"{method} {path} was never answered")

    @staticmethod
    async def _pause(attempt: int, retry_after: str | None = None) -> None:
        seconds = min(0.1 * 2**attempt, _LONGEST_PAUSE_SECONDS)
        if retry_after:
            seconds = min(float(retry_after), _LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(seconds * random.uniform(0.5, 1.5))

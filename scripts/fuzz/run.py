"""Sends every case to a real API, waits until real workers are done, and looks up what became of
each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx

from asr_core.errors import DecoderCrashed, TaskNotFound
from asr_core.queue import Producer
from asr_core.settings.queue import QueueSettings
from chaos.stage import Scene, Stage
from fuzz.mutations import Case
from fuzz.report import Fate, Report, find
from fuzz.texts import TextReport, send_texts

AT_ONCE = 12
LEASE_SECONDS = 10.0
QUIET_SECONDS = 300.0
_FORMATS = ("json", "text", "srt", "vtt")

Tell = Callable[[str], None]


async def fuzz(
    cases: Iterable[Case],
    *,
    seed: int,
    workers: int,
    folder: Path,
    texts: bool = False,
    tell: Tell = print,
) -> Report:
    """The whole run; Redis, store and logs lie in `folder`. With `texts`, hostile ones follow."""
    scene = Scene("folder", apis=1, workers=workers, lease_seconds=LEASE_SECONDS, folder=folder)
    async with Stage(scene) as stage:
        began = time.monotonic()
        fates = await _submit_all(stage.urls[0], cases, tell)
        await _wait_for_quiet(stage, fates, tell)
        await _look_up(stage, fates)
        sent = await send_texts(stage.urls[0]) if texts else TextReport()
        report = Report(
            seed=seed,
            seconds=time.monotonic() - began,
            fates=fates,
            workers_lost=sum(len(one.program.lives) - 1 for one in stage.workers),
            apis_lost=sum(len(one.program.lives) - 1 for one in stage.apis),
            decoders_lost=sum(_decoders_lost(one.program.log) for one in stage.workers),
            texts=sent,
        )
    report.findings = find(report)
    return report


async def _submit_all(url: str, cases: Iterable[Case], tell: Tell) -> list[Fate]:
    fates: list[Fate] = []
    waiting = iter(cases)
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:

        async def send() -> None:
            for case in waiting:
                fate = Fate(case)
                fates.append(fate)
                if len(fates) % 500 == 0:
                    tell(f"{len(fates)} sent, {sum(one.accepted for one in fates)} accepted")
                await _submit(client, fate)

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    return sorted(fates, key=lambda fate: fate.case.number)


async def _submit(client: httpx.AsyncClient, fate: Fate) -> None:
    began = time.monotonic()
    files = {"audio": (fate.case.name, fate.case.data)}
    form = {"channels": fate.case.channels}
    try:
        reply = await client.post("/api/v1/asr/submit", files=files, data=form)
    except httpx.TransportError as error:
        fate.message = f"{type(error).__name__}: {error}"
        return
    finally:
        fate.seconds = time.monotonic() - began
    fate.status, body = reply.status_code, reply.json()
    if fate.accepted:
        fate.task_id = body["task_id"]
    else:
        fate.code, fate.message = body["error"]["code"], body["error"]["message"]


async def _wait_for_quiet(stage: Stage, fates: list[Fate], tell: Tell) -> None:
    """Until no task is open, or nothing has changed for long."""
    accepted = sum(fate.accepted for fate in fates)
    tell(f"{len(fates)} sent, {accepted} accepted; waiting for the workers")
    open_before, changed_at = -1, time.monotonic()
    while time.monotonic() - changed_at < QUIET_SECONDS:
        backlog = await stage.reader.read("default")
        open_tasks = backlog.waiting + backlog.in_flight + backlog.delayed
        if open_tasks == 0:
            return
        if open_tasks != open_before:
            open_before, changed_at = open_tasks, time.monotonic()
        await asyncio.sleep(0.2)
    tell(f"{open_before} tasks have been open for {QUIET_SECONDS:.0f} s")


async def _look_up(stage: Stage, fates: list[Fate]) -> None:
    """The task's record says more than HTTP does; what HTTP says is looked at as well."""
    producer = Producer(stage.connection, QueueSettings(_env_file=None))
    async with httpx.AsyncClient(base_url=stage.urls[0], timeout=60) as client:
        for fate in fates:
            if not fate.accepted:
                continue
            try:
                task = await producer.get(fate.task_id)
            except TaskNotFound:
                continue
            fate.state, fate.attempts = task.state.value, task.attempt
            fate.crashes, fate.transient_failures = task.crashes, task.transient_failures
            if task.error is not None:
                fate.code, fate.message = task.error.code, task.error.message
            asked = _FORMATS[fate.case.number % len(_FORMATS)]
            reply = await client.get(f"/api/v1/asr/result/{fate.task_id}?format={asked}")
            fate.later_status = reply.status_code


def _decoders_lost(log: Path) -> int:
    return log.read_text(errors="replace").count(f'"code": "{DecoderCrashed.code}"')

"""Gathers, once all is quiet, what the checks judge: Redis, the store, the API's answers, logs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from asr_core.queue import Backlog, Totals
from asr_core.result import Transcript
from asr_core.store import StoreObjectMissing
from asr_core.task import DEFAULT_POOL, Lane, State
from chaos.clients import Clients, UnexpectedAnswer
from chaos.ledger import Ledger
from chaos.stage import Stage
from chaos.watch import Watcher

_AT_ONCE = 8
_SETS = ("waiting", "leases", "held", "delayed", "solo", "next")
_COUNTERS = ("undelivered", "held_tenants", "tenant_open")
_FIELDS = (
    "state", "result", "error_code", "error_message", "attempt", "crashes", "solo_crashes",
    "transient_failures", "idempotency_key", "entry", "owner", "token",
)  # fmt: skip


@dataclass
class Evidence:
    """`tasks`: hashes by id; `blobs`: paths in the store after the sweep; `answers` and `stored`:
    transcripts as JSON, from the API and from the store."""

    tasks: dict[str, dict[str, str]]
    totals: Totals
    totals_of_tenants: Totals
    backlog: Backlog
    leftovers: dict[str, int]
    blobs: set[str] = field(default_factory=set)
    answers: dict[str, str] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    reconciled: list[dict[str, Any]] = field(default_factory=list)
    swept: dict[str, Any] = field(default_factory=dict)
    crashed: int = 0


async def gather_evidence(
    stage: Stage, watcher: Watcher, clients: Clients, *, sweep_age_seconds: float
) -> Evidence:
    """Reconciles twice, sweeps, and then reads everything."""
    reconciled = [await reconcile(stage), await reconcile(stage)]
    await asyncio.sleep(sweep_age_seconds + 1)
    swept = await reconcile(stage, "--sweep", "--older-than", f"{sweep_age_seconds:g}")
    ids = sorted({i for state in State for i in await watcher.ids_in(state)})
    hashes = await watcher.hashes(ids, _FIELDS)
    stats = await stage.reader.stats(minutes=1440)
    evidence = Evidence(
        tasks=dict(zip(ids, hashes, strict=True)),
        totals=await stage.reader.totals(),
        totals_of_tenants=await _totals_of_tenants(stage),
        backlog=await stage.reader.read(),
        leftovers=await _leftovers(stage),
        blobs={blob.path async for blob in stage.store.list("")},
        reconciled=reconciled,
        swept=swept,
        crashed=sum(bucket.crashed for bucket in stats),
    )
    await _read_results(stage, clients, evidence)
    return evidence


async def _totals_of_tenants(stage: Stage) -> Totals:
    """The figures of all tenants together."""
    names = await stage.connection.client.smembers(stage.connection.keys.tenants)
    rows = [await stage.reader.totals(name) for name in names]
    counted = [each.name for each in fields(Totals) if each.name != "since"]
    return Totals(**{name: sum(getattr(row, name) for row in rows) for name in counted})


async def reconcile(stage: Stage, *arguments: str) -> dict[str, Any]:
    """`asr reconcile --json`, as an operator of the service runs it."""
    worker = stage.workers[0].program
    redis_url = f"redis://127.0.0.1:{stage.redis_port}/0"
    environment = {**worker.environment, "ASR_REDIS_URL": redis_url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asr_cli", "reconcile", "--json", *arguments),
        cwd=worker.folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    with suppress(json.JSONDecodeError):
        fields: dict[str, Any] = json.loads(out)
        return fields
    return {"failed": (out + err).decode(errors="replace")[-2000:]}


async def _leftovers(stage: Stage) -> dict[str, int]:
    """Sizes of all places where an open task can stand; all 0 when none is open."""
    client, keys = stage.connection.client, stage.connection.keys
    sizes: dict[str, int] = {}
    for lane in Lane:
        stream = keys.stream(DEFAULT_POOL, lane)
        sizes[stream] = await client.xlen(stream)
        for group in await client.xinfo_groups(stream) if await client.exists(stream) else []:
            sizes[f"{stream} pending"] = group["pending"]
    for kind in (*_SETS, *_COUNTERS):
        async for name in client.scan_iter(f"{keys.root}asr:{kind}:*"):
            sizes[name] = await (client.hlen if kind in _COUNTERS else client.zcard)(name)
    async for name in client.scan_iter(f"{keys.root}asr:backlog:*"):
        for lane_name, value in (await client.hgetall(name)).items():
            sizes[f"{name} {lane_name}"] = int(value)
    return sizes


async def _read_results(stage: Stage, clients: Clients, evidence: Evidence) -> None:
    room = asyncio.Semaphore(_AT_ONCE)

    async def read(task_id: str, path: str) -> None:
        async with room:
            try:
                evidence.answers[task_id] = await clients.result(task_id) or ""
            except UnexpectedAnswer as error:
                evidence.answers[task_id] = str(error)
            with suppress(StoreObjectMissing):
                raw = await stage.store.get(path)
                evidence.stored[task_id] = Transcript.model_validate_json(raw).model_dump_json()

    async with asyncio.TaskGroup() as group:
        for task_id, values in evidence.tasks.items():
            if values["state"] == State.COMPLETED:
                group.create_task(read(task_id, values["result"]))


def read_logs(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(program, line) of all JSON logs; what is no JSON comes as {"event": the line}."""
    for path in sorted(folder.glob("*.log")):
        with path.open(errors="replace") as file:
            for line in file:
                try:
                    fields = json.loads(line)
                except json.JSONDecodeError:
                    fields = None
                yield path.stem, fields if isinstance(fields, dict) else {"event": line.rstrip()}


def count_events(folder: Path) -> Counter[str]:
    """How often each event was logged by APIs and workers, with its level."""
    return Counter(
        f"{line.get('level', 'raw')}: {line.get('event')}"
        for program, line in read_logs(folder)
        if program.startswith(("api", "worker")) and "level" in line
    )


def tracebacks(folder: Path) -> dict[str, int]:
    """Exceptions that programs logged, by their last line."""
    found: Counter[str] = Counter()
    for program, line in read_logs(folder):
        if text := str(line.get("exception", "")):
            last = text.strip().splitlines()[-1][:160]
            found[f"{program.split('-')[0]}: {line.get('event')}: {last}"] += 1
    return dict(found)


def history_of(task_id: str, ledger: Ledger, folder: Path) -> list[str]:
    """All that is known of one task, in the order of time."""
    order = ledger.order_of(task_id)
    lines = [(e.at, f"client   {e}") for e in (order.events if order else [])]
    lines += [(e.at, f"redis    {e}") for e in ledger.changes.get(task_id, [])]
    if lines:
        first, last = min(lines)[0] - 5, max(lines)[0] + 5
        lines += [(e.at, f"harness  {e}") for e in ledger.deeds if first <= e.at <= last]
    fields = [text for _, text in sorted(lines)]
    logged = [
        f"{program:8} {json.dumps(line)}"
        for program, line in read_logs(folder)
        if task_id in json.dumps(line)
    ]
    about = f"{order.key} {order.clip.name} {order.lane}" if order else "no order has this id"
    return [f"task {task_id}: {about}", *fields, *logged]

"""One load test from the first question to the report."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import httpx

from asr_cli.console import say
from asr_cli.load.ledger import Ledger
from asr_cli.load.plan import LoadPlan
from asr_cli.load.progress import show_progress
from asr_cli.load.recording import Recording
from asr_cli.load.report import Course, Report, Target, build_report
from asr_cli.load.session import Session
from asr_cli.load.traffic import Traffic
from asr_platform import AsyncClient
from asr_platform.replies import refusal


async def run_load(
    plan: LoadPlan,
    server: str,
    recordings: Sequence[Recording],
    headers: Mapping[str, str],
    *,
    delete: bool,
) -> Report:
    """Offer the load, drain, and account; ClientError before anything is submitted. `headers` go
    with every request.
    """
    async with AsyncClient(server) as client:
        server = client.server
        await client.check()
    target = await look_at(server, recordings, headers)
    if target.workers == 0:
        say("no worker is alive: what is accepted waits until one comes")
    tls = ssl.create_default_context()
    ledger = Ledger()
    sessions = partial(Session, server, tls, headers)
    traffic = Traffic(plan, recordings, ledger, sessions, delete=delete)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    _on_interrupt(traffic.cut)
    progress = asyncio.create_task(show_progress(traffic))
    try:
        await traffic.run()
    finally:
        progress.cancel()
        await asyncio.gather(progress, return_exceptions=True)
    deleted = await traffic.delete_all() if delete else None
    course = Course(
        started_at=started_at,
        load_seconds=round(traffic.load_seconds, 3),
        drain_seconds=round(traffic.drain_seconds, 3),
        unsent=traffic.unsent,
        interrupted=traffic.interrupted,
        deleted=deleted,
    )
    return build_report(ledger, target, plan, course)


async def look_at(
    server: str, recordings: Sequence[Recording], headers: Mapping[str, str]
) -> Target:
    """What the server says of itself; ClientError if it does not know the pool or the key."""
    fields = recordings[0].fields
    async with httpx.AsyncClient(base_url=server, headers=headers, timeout=10.0) as http:
        version = await _version(http)
        reply = await _get(http, "/api/v1/asr/queue/status", {"pool": fields["pool"]})
    if reply is not None and reply.status_code in (401, 403, 422):
        raise refusal(reply)
    reported = reply.json() if reply is not None and reply.is_success else {}
    workers = [] if reported.get("serving") == "none" else reported.get("workers")
    models = {f"{worker['model']} on {worker['device']}" for worker in workers or ()}
    return Target(
        url=server,
        version=version,
        workers=None if workers is None else len(workers),
        models=tuple(sorted(models or reported.get("models", ()))),
        lane=fields["lane"],
        pool=fields["pool"],
        audio=tuple(str(recording.path) for recording in recordings),
    )


async def _version(http: httpx.AsyncClient) -> str | None:
    reply = await _get(http, "/openapi.json", {})
    try:
        return str(reply.json()["info"]["version"]) if reply is not None else None
    except (ValueError, KeyError, TypeError):
        return None


async def _get(
    http: httpx.AsyncClient, path: str, parameters: dict[str, str]
) -> httpx.Response | None:
    try:
        return await http.get(path, params=parameters)
    except httpx.TransportError:
        return None


def _on_interrupt(cut: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, cut)

"""Problems that `asr up` prints while it serves: those of the platform's own health report."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from asr_cli.local.up_console import UpConsole
from asr_platform.address import authorization

LOOK_SECONDS = 5.0


def problems_of(health: Mapping[str, Any]) -> list[str]:
    """Of a reply of `/api/v1/health`: each thing that keeps recordings from being taken or
    transcribed.
    """
    found = [
        f"{name}: {health[name]['message'] or 'unavailable'}"
        for name in ("redis", "store")
        if health[name]["status"] != "ok"
    ]
    problems = health["workers"]["problems"]
    # Reasons need a key with the scope admin.
    if health["workers"]["status"] == "blocked" and not problems:
        found.append("workers: some take no work; set ASR_API_KEY with the scope admin to see why")
    return found + [f"{problem}; it takes no work" for problem in problems]


async def tell_problems(api_url: str, console: UpConsole) -> None:
    """Prints each problem once, and once when it is over, until cancelled."""
    reported: list[str] = []
    headers = authorization(None)
    async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=30.0) as http:
        while True:
            found = await _look(http)
            if found is not None:
                for problem in found:
                    if _subject(problem) not in map(_subject, reported):
                        console.problem(problem)
                for problem in reported:
                    if _subject(problem) not in map(_subject, found):
                        console.note(f"{_subject(problem)} has recovered")
                reported = found
            await asyncio.sleep(LOOK_SECONDS)


async def _look(http: httpx.AsyncClient) -> list[str] | None:
    """None if the API does not answer: the supervisor reports an API that ends."""
    try:
        return problems_of((await http.get("/api/v1/health")).json())
    except (httpx.HTTPError, ValueError, LookupError):
        return None


def _subject(problem: str) -> str:
    return problem.partition(":")[0]

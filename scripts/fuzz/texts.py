"""Hostile text in every place of a request where an API takes any: each is answered, none with a
5xx, and the API answers others meanwhile.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import time
import wave
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from asr_api.submission.options import SUBMIT_FIELDS, TEXT_FIELDS
from asr_core.options import Kind
from fuzz.parsers import PARSERS

CHARACTERS = 60_000  # a head may have 64 KiB
MOST_SECONDS = 5.0
AT_ONCE = 4
SUBMIT, OPENAI = "/api/v1/asr/submit", "/v1/audio/transcriptions"
TRANSLATE = "/v1/audio/translations"

_HEADERS = (
    "range", "if-range", "if-none-match", "x-request-id", "idempotency-key", "authorization",
    "content-type", "content-encoding", "origin", "access-control-request-headers",
    "x-forwarded-prefix", "x-forwarded-for", "x-forwarded-proto", "last-event-id", "connection",
    "upgrade", "traceparent", "cookie", "accept", "sec-fetch-site",
)  # fmt: skip
_FIELDS = {
    SUBMIT: TEXT_FIELDS,
    OPENAI: (
        *("model", "language", "prompt", "keywords[]", "response_format", "temperature"),
        *("timestamp_granularities[]", "stream", "chunking_strategy", "track", "include[]"),
        "another",
    ),
    TRANSLATE: ("model", "prompt", "response_format", "temperature", "stream", "another"),
}
_TEXT_KINDS = (Kind.TEXT, Kind.CHOICE, Kind.WORDS)
_JSON = (
    "url",
    *(name for name, option in SUBMIT_FIELDS.items() if option.kind in _TEXT_KINDS),
)
_LISTS = {name for name, option in SUBMIT_FIELDS.items() if option.kind is Kind.WORDS}
_QUERIES = {
    "/api/v1/asr/history": ("cursor", "state", "limit"),
    "/api/v1/usage": ("from", "to", "tenant"),
    "/api/v1/stats": ("pool", "minutes"),
    "/api/v1/asr/queue/status": ("pool",),
}
_PATHS = ("/", "/api/v1/asr/result/", "/api/v1/asr/audio/", "/v1/models/", "/assets/")


@dataclass(frozen=True)
class TextCase:
    """One request; `place` and `unit` say what is odd about it."""

    place: str
    unit: str
    method: str
    path: str
    more: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.place}: {self.unit}"


@dataclass
class TextReport:
    """`broken` is empty when all bounds held."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_health_seconds: float = 0.0
    broken: list[str] = field(default_factory=list)

    def lines(self) -> Iterable[str]:
        yield f"hostile texts        {self.statuses.total()}, replies {dict(self.statuses)}"
        yield f"slowest /healthz     {self.slowest_health_seconds:.2f} s meanwhile"


def units() -> dict[str, str]:
    """Every text of `PARSERS` once, by how it is written."""
    found = {each for parser in PARSERS for each in parser.hostile}
    return {
        f"{start!a} and {unit!a}": start + unit * ((CHARACTERS - len(start)) // len(unit)) + "!"
        for start, unit in sorted(found)
    }


def text_cases(task_id: str) -> list[TextCase]:
    """All units in all places; `task_id` is a task's that has a recording."""
    return [case for unit, text in units().items() for case in _of_text(unit, text, task_id)]


def _of_text(unit: str, text: str, task_id: str) -> Iterable[TextCase]:
    # As much as fits: UTF-8 and percent-encoding make it longer.
    header = text.encode()[:CHARACTERS].translate(None, bytes([*range(9), *range(10, 32), 127]))
    printable = header.decode("latin-1")
    for name in _HEADERS:
        headers = {name: header.strip() or b"!"}
        yield TextCase(name, unit, "GET", f"/api/v1/asr/audio/{task_id}", {"headers": headers})
        yield TextCase(name, unit, "POST", SUBMIT, {"headers": headers, "content": b"--X--"})
    preflight = {"origin": header.strip() or b"!", "access-control-request-method": "POST"}
    yield TextCase("preflight", unit, "OPTIONS", SUBMIT, {"headers": preflight})
    for path, names in _FIELDS.items():
        for name in names:
            more = {"data": {"model": "m", name: text}, "files": {"file": b"x"}}
            yield TextCase(f"form field {name}", unit, "POST", path, more)
        for odd in ({text: "x"}, {"model": "m"}):
            more = {"data": odd, "files": {"file": (text, b"x")}}
            yield TextCase("name of a field or a file", unit, "POST", path, more)
    for name in _JSON:
        body = {"url": "http://example.com/", name: [text] if name in _LISTS else text}
        yield TextCase(f"JSON {name}", unit, "POST", SUBMIT, {"json": body})
    typed = {"headers": {"content-type": "application/json"}, "content": text.encode()}
    yield TextCase("JSON", unit, "POST", SUBMIT, typed)
    for path, names in _QUERIES.items():
        for name in names:
            short = {name: printable[: CHARACTERS // 3]}
            yield TextCase(f"query {name}", unit, "GET", path, {"params": short})
    for path in _PATHS:
        yield TextCase("path", unit, "GET", path + _segment(text), {})


def _segment(text: str) -> str:
    kept = "".join(c for c in text if c.isascii() and c.isprintable() and c not in " /?#%[]\\")
    return kept[: CHARACTERS // 3] or "x"


async def send_texts(url: str, *, every: int = 1) -> TextReport:
    """Sends each `every`th case; others ask for the API's health all the while."""
    report = TextReport()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        accepted = await client.post(SUBMIT, files={"audio": ("a.wav", _wav())})
        cases = iter(text_cases(accepted.json()["task_id"])[::every])
        health = asyncio.create_task(_ask_for_health(url, report))

        async def send() -> None:
            for case in cases:
                await _send(client, case, report)

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
        health.cancel()
        await asyncio.gather(health, return_exceptions=True)
    if report.slowest_health_seconds > MOST_SECONDS:
        report.broken.append(f"/healthz took {report.slowest_health_seconds:.1f} s")
    return report


async def _send(client: httpx.AsyncClient, case: TextCase, report: TextReport) -> None:
    try:
        reply = await client.request(case.method, case.path, **case.more)
    except (httpx.LocalProtocolError, httpx.InvalidURL):
        return  # the client itself refuses to send it
    except httpx.HTTPError as error:
        report.broken.append(f"{case.name}: {type(error).__name__}: {error}")
        return
    report.statuses[reply.status_code] += 1
    if reply.status_code >= 500:
        report.broken.append(f"{case.name}: {reply.status_code} {reply.text[:200]}")
    elif reply.status_code >= 400 and len(reply.content) > 4096:
        report.broken.append(f"{case.name}: an error of {len(reply.content)} bytes")


async def _ask_for_health(url: str, report: TextReport) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for _ in itertools.count():
            began = time.monotonic()
            await client.get("/healthz")
            seconds = time.monotonic() - began
            report.slowest_health_seconds = max(report.slowest_health_seconds, seconds)
            await asyncio.sleep(0.02)


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(8000))
    return file.getvalue()

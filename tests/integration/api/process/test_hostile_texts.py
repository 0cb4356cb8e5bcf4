"""Text that is meant to make a parser slow, through a real API."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from fuzz.texts import send_texts

pytestmark = pytest.mark.asyncio

SUBMIT = "/api/v1/asr/submit"


def processor_seconds(api: Any) -> float:
    """What the API's process has used; a busy machine does not change it."""
    fields = Path(f"/proc/{api.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_range_of_spaces_takes_no_time_and_others_are_answered(
    start_api: Any, wav: bytes
) -> None:
    api = start_api()
    await asyncio.to_thread(api.wait_until_ready)
    async with httpx.AsyncClient(base_url=api.url, timeout=60) as client:
        task_id = (await client.post(SUBMIT, files={"audio": wav})).json()["task_id"]
        before = processor_seconds(api)
        hostile = client.get(
            f"/api/v1/asr/audio/{task_id}", headers={"Range": "bytes=1-" + 60_000 * " " + "x"}
        )
        played, alive = await asyncio.gather(hostile, client.get("/healthz"))
        assert (played.status_code, alive.status_code) == (200, 200)
        # It was 12.8 s.
        assert processor_seconds(api) - before < 3


async def test_hostile_text_is_answered_wherever_it_stands_and_with_no_5xx(start_api: Any) -> None:
    api = start_api(ASR_CORS_ORIGINS="https://app.example.com")
    await asyncio.to_thread(api.wait_until_ready)
    report = await send_texts(api.url, every=17)
    assert report.broken == []
    assert report.statuses.total() > 300
    assert api.process.poll() is None
    assert "Traceback" not in api.log.read_text()


async def test_a_length_with_thousands_of_zeros_before_it_is_read_or_refused(
    start_api: Any,
) -> None:
    api = start_api()
    await asyncio.to_thread(api.wait_until_ready)
    reader, writer = await asyncio.open_connection(*api.address)
    head = f"POST {SUBMIT} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=X\r\n"
    writer.write(f"{head}Content-Length: {'0' * 5000}5\r\n\r\n--X--".encode())
    status = (await reader.readline()).decode()
    writer.close()
    assert status.split()[1].startswith("4"), status
    assert "Traceback" not in api.log.read_text()

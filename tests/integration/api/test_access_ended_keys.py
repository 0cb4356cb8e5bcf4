"""What is open when its key ends: streams, waits and uploads end with it, within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest

from asr_core.access import ApiKey, Scope
from asr_core.queue import ApiKeyStore

pytestmark = pytest.mark.asyncio

SUBMIT = "/api/v1/asr/submit"
ALL = [Scope.TRANSCRIBE, Scope.READ, Scope.WRITE]
# Far below what every one of these would last by itself.
SECONDS = 12


@dataclass
class Holder:
    """A key, and a client that sends it."""

    url: str
    secret: str
    key: ApiKey
    client: httpx.AsyncClient

    async def submit(self, wav: bytes) -> dict[str, str]:
        sent = await self.client.post(SUBMIT, files={"audio": ("a.wav", wav)})
        links: dict[str, str] = sent.json()["links"]
        return links

    async def stream(self, link: str, opened: asyncio.Event) -> str:
        """All that an event stream says until it ends, which it does in order."""
        async with self.client.stream("GET", link) as reply:
            assert reply.status_code == 200
            text = ""
            async for piece in reply.aiter_text():
                text += piece
                if '"status": "queued"' in text:
                    opened.set()
            return text

    async def begin_upload(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = (
            f"POST {SUBMIT} HTTP/1.1", "Host: x", f"Authorization: Bearer {self.secret}",
            "Content-Type: multipart/form-data; boundary=b", "Content-Length: 90000", "",
            "--b", 'Content-Disposition: form-data; name="audio"; filename="a.wav"', "", "",
        )  # fmt: skip
        writer.write("\r\n".join(lines).encode() + bytes(50_000))
        await writer.drain()
        return reader, writer


@asynccontextmanager
async def holder(platform: Any, **options: Any) -> AsyncIterator[Holder]:
    ring = ApiKeyStore(platform.connect())
    secret, key = await ring.create("laptop", tenant="acme", scopes=ALL, **options)
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=60) as client:
        yield Holder(platform.url, secret, key, client)


async def test_a_key_that_is_revoked_ends_whatever_was_opened_with_it(
    start_platform: Any, wav: bytes
) -> None:
    platform = start_platform(auth="keys", events_heartbeat_seconds=60.0)
    async with holder(platform) as revoked, holder(platform) as kept:
        links = await revoked.submit(wav)
        opened, opened_by_other = asyncio.Event(), asyncio.Event()
        going_on = asyncio.create_task(kept.stream(links["events"], opened_by_other))
        stream = asyncio.create_task(revoked.stream(links["events"], opened))
        wait = asyncio.create_task(revoked.client.get(f"{links['result']}?wait=60"))
        reader, writer = await revoked.begin_upload()
        await asyncio.gather(opened.wait(), opened_by_other.wait())
        client = openai.AsyncOpenAI(
            api_key=revoked.secret, base_url=f"{platform.url}/v1", max_retries=0, timeout=60
        )
        create = client.audio.transcriptions.create
        file = {"model": "default", "file": ("a.wav", wav)}
        call = asyncio.create_task(create(**file))
        texts = await create(**file, stream=True)
        await ApiKeyStore(platform.connect()).revoke(revoked.key.id)
        async with asyncio.timeout(SECONDS):
            assert '"status": "deleted"' not in await stream
            assert (await revoked.client.get(links["events"])).status_code == 401
            waited = await wait
            assert (waited.status_code, waited.json()["error"]["code"]) == (401, "invalid_api_key")
            assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
            with pytest.raises(openai.AuthenticationError):
                await call
            with pytest.raises(openai.APIError, match="unknown or was revoked"):
                [_ async for _ in texts]
        writer.close()
        await client.close()
        assert not going_on.done()
        await kept.client.delete(links["result"].replace("result", "task"))
        assert '"status": "deleted"' in await going_on
    assert platform.spooled() == []


async def test_a_key_that_expires_ends_its_streams(start_platform: Any, wav: bytes) -> None:
    platform = start_platform(auth="keys")
    async with holder(platform, lasts_seconds=2.0) as expiring:
        links = await expiring.submit(wav)
        async with asyncio.timeout(SECONDS):
            await expiring.stream(links["events"], asyncio.Event())
        again = await expiring.client.get(links["events"])
        assert "has expired" in again.json()["error"]["message"]


async def test_while_redis_is_away_a_stream_goes_on(
    start_platform: Any, own_redis: Any, wav: bytes
) -> None:
    platform = start_platform(
        redis_port=own_redis.port, auth="keys", timeout_seconds=0.5, events_heartbeat_seconds=0.2
    )
    async with holder(platform) as one:
        links = await one.submit(wav)
        async with one.client.stream("GET", links["events"]) as reply:
            beats = 0
            async for line in reply.aiter_lines():
                if '"queued"' in line:
                    own_redis.kill()
                beats += line.startswith(":")
                if beats > 15:  # three seconds: its key has been looked at meanwhile
                    break
            assert beats > 15

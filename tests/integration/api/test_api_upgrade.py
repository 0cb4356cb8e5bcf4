"""Clients that offer HTTP/2 on every request in plain HTTP: the offer is ignored, the request is
served with its body.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio

OFFER = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
)
JAVA = """
import java.net.URI;
import java.net.http.*;
import java.nio.file.*;

class Submit {
  public static void main(String[] given) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(given[0]))
        .header("Content-Type", "multipart/form-data; boundary=b0")
        .POST(HttpRequest.BodyPublishers.ofFile(Path.of(given[1]))).build();
    var client = HttpClient.newHttpClient();
    for (int i = 0; i < 2; i++)
      System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
  }
}
"""


def form(wav: bytes, field: str = "audio", **texts: str) -> bytes:
    parts = [
        f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in texts.items()
    ]
    head = f'--b0\r\nContent-Disposition: form-data; name="{field}"; filename="a.wav"\r\n\r\n'
    return b"".join((*parts, head.encode(), wav, b"\r\n--b0--\r\n"))


def request(path: str, body: bytes, *more: bytes, kind: str = "multipart/form-data; boundary=b0"):
    lines = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n".encode()
    return lines + OFFER + b"".join(more) + b"\r\n" + body


async def reply(reader: asyncio.StreamReader) -> tuple[int, Any]:
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.split("\r\n") if line.startswith("content-length"))
        return int(head.split()[1]), json.loads(await reader.readexactly(int(length.split()[1])))


@pytest_asyncio.fixture
async def connection(platform: Any) -> Any:
    host, port = platform.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    yield reader, writer
    writer.close()


async def test_every_route_with_a_body_is_served_on_one_connection(connection, wav):
    reader, writer = connection
    body = form(wav)
    writer.write(request("/api/v1/asr/submit", body, b"Content-Length: %d\r\n" % len(body)))
    assert (await reply(reader))[0] == 202
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    writer.write(request("/api/v1/asr/submit", chunks, b"Transfer-Encoding: chunked\r\n"))
    assert (await reply(reader))[0] == 202
    told = json.dumps({"url": "https://asr.example.com/a.wav"}).encode()
    length = b"Content-Length: %d\r\n" % len(told)
    writer.write(request("/api/v1/asr/submit", told, length, kind="application/json"))
    assert (await reply(reader))[1]["status"] == "fetching"
    body = form(wav, "file", model="no-such-model")
    length = b"Content-Length: %d\r\n" % len(body)
    writer.write(request("/v1/audio/transcriptions", body, length))
    status, error = await reply(reader)
    assert (status, error["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_the_size_of_the_pieces_does_not_matter(connection, make_wav, size):
    reader, writer = connection
    body = form(make_wav(0.05))
    for _ in range(2):
        sent = request("/api/v1/asr/submit", body, b"Content-Length: %d\r\n" % len(body))
        for at in range(0, len(sent), size):
            writer.write(sent[at : at + size])
            await writer.drain()
        assert (await reply(reader))[0] == 202


async def test_requests_that_follow_without_waiting_are_all_answered(connection):
    reader, writer = connection
    one = b"GET /api/v1/asr/history HTTP/1.1\r\nHost: localhost\r\n" + OFFER + b"\r\n"
    writer.write(one * 20)
    for _ in range(20):
        status, body = await reply(reader)
        assert (status, body["tasks"], body["next_cursor"]) == (200, [], None)


def speaks_http2(curl: str | None) -> bool:
    return curl is not None and "HTTP2" in subprocess.check_output([curl, "--version"], text=True)


async def test_the_client_of_curl_is_served(platform, wav, tmp_path):
    curl = shutil.which("curl")
    if not speaks_http2(curl):
        pytest.skip("there is no curl that speaks HTTP/2")
    recording = tmp_path / "tone.wav"
    recording.write_bytes(wav)
    command = [curl, "-sS", "--http2", "-F", f"audio=@{recording}"]
    told = await asyncio.to_thread(
        subprocess.check_output, [*command, f"{platform.url}/api/v1/asr/submit"]
    )
    assert json.loads(told)["status"] == "queued"


async def test_the_client_of_java_is_served(platform, wav, tmp_path: Path):
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        pytest.skip("there is no JDK")
    (tmp_path / "Submit.java").write_text(JAVA)
    (tmp_path / "body").write_bytes(form(wav))
    command = [java, str(tmp_path / "Submit.java"), f"{platform.url}/api/v1/asr/submit"]
    told = await asyncio.to_thread(
        subprocess.check_output, [*command, str(tmp_path / "body")], text=True
    )
    assert told.split() == ["202", "202"]
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        assert len((await client.get("/api/v1/asr/history")).json()["tasks"]) == 2

"""A bucket that refuses to be written: full is 507, forbidden or broken 503; nothing is queued."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio


class Bucket(ThreadingHTTPServer):
    """Speaks just enough S3: holds nothing, and answers every write with `refusal`."""

    refusal: tuple[int, str] = (200, "")


class _Request(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        if "list-type=2" in self.path:
            self._say(200, '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>')
        else:
            self._say(404, "<Error><Code>NoSuchKey</Code></Error>")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/epoch"):
            return self._say(200, "")
        status, code = self.server.refusal
        return self._say(status, f"<Error><Code>{code}</Code><Message>No.</Message></Error>")

    def _say(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with Bucket(("127.0.0.1", 0), _Request) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ((507, "XMinioStorageFull"), 507, "store_full"),
        ((403, "QuotaExceeded"), 507, "store_full"),
        ((403, "AccessDenied"), 503, "store_unavailable"),
        ((404, "NoSuchBucket"), 503, "store_unavailable"),
        ((503, "SlowDown"), 503, "store_unavailable"),
    ],
)
async def test_a_bucket_that_refuses_is_told_apart_and_nothing_is_queued(
    start_platform: Any, bucket: Bucket, wav: bytes, refusal: Any, status: int, code: str
) -> None:
    bucket.refusal = refusal
    platform = start_platform(store_url="s3://recordings/asr")
    async with httpx.AsyncClient(base_url=platform.url, timeout=30) as client:
        reply = await client.post("/api/v1/asr/submit", files={"audio": wav})
        assert (reply.status_code, reply.json()["error"]["code"]) == (status, code), reply.text
        assert int(reply.headers["retry-after"]) > 0
        assert (await client.get("/api/v1/asr/history")).json()["tasks"] == []
    assert platform.spooled() == []

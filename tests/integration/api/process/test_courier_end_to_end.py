"""A URL goes in, and a signed webhook says that its transcript is there: all programs are real."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

DEMO = Path(__file__).parents[4] / "worker" / "asr_worker" / "embedded" / "demo.wav"
SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
Posted = tuple[dict[str, str], bytes]


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, Queue[Posted]]]:
    """A server that holds a recording and takes webhooks: its URL, and what was posted to it."""
    posted: Queue[Posted] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(DEMO.read_bytes())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()
            posted.put((dict(self.headers), body))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()


def test_a_url_becomes_a_transcript_and_a_webhook_that_verifies(
    programs: Any, start_api: Callable[..., Any], elsewhere: tuple[str, Queue[Posted]]
) -> None:
    url, posted = elsewhere
    local = {"ASR_WEBHOOK_SECRET": ",".join(SECRETS), "ASR_ALLOW_PRIVATE_URLS": "127.0.0.1"}
    api = start_api(**local)
    programs.courier(**local)
    programs.worker()
    api.wait_until_ready()
    body = {"url": f"{url}/demo.wav", "webhook": f"{url}/hook", "lane": "interactive"}
    accepted = httpx.post(f"{api.url}/api/v1/asr/submit", json=body)
    assert (accepted.status_code, accepted.json()["status"]) == (202, "fetching")
    headers, content = posted.get(timeout=120)
    for secret in SECRETS:
        told = Verifier(secret).verify(content, headers)
    assert told["type"] == "task.completed"
    assert told["data"]["task_id"] == accepted.json()["task_id"]
    result = httpx.get(api.url + told["data"]["links"]["result"]).json()
    assert result["status"] == "completed"
    assert len(result["result"]["text"].split()) > 3
    assert result["result"]["text"] not in content.decode()

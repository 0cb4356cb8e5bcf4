"""Without keys: a name of one's own, names of others, and pages that want to use the API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from playwright.sync_api import expect

# Sends what a browser sends without asking first; the last request shows its reply.
HOSTILE = b"""<!doctype html><title>hostile</title><body><script>
const api = new URLSearchParams(location.search).get('api');
const form = new FormData();
form.append('audio', new Blob(['RIFF']), 'a.wav');
const post = (path, body) =>
  fetch(api + path, { method: 'POST', mode: 'no-cors', body }).catch(() => {});
(async () => {
  await post('/api/v1/asr/submit', form);
  await post('/api/v1/asr/submit', '{"url": "http://a.example/"}');
  await post('/v1/audio/transcriptions', form);
  const sent = document.body.appendChild(document.createElement('form'));
  Object.assign(sent, { action: api + '/api/v1/asr/submit', method: 'post' });
  sent.enctype = 'text/plain';
  sent.submit();
})();
</script>"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(HOSTILE)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hostile_port() -> Iterator[int]:
    """Where somebody else's page is served."""
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def named(stack: Any) -> Iterator[Any]:
    """A second API on the same queue and store, which is called asr.lan as well."""
    settings = {"ASR_ALLOWED_HOSTS": "asr.lan"}
    other = type(stack)(stack.folder, settings, redis_port=stack.redis_port)
    other.start_api()
    yield other
    other.end("api")


def refused(stack: Any) -> int:
    """How many requests the API has answered with 403."""
    counted = stack.get("/metrics").decode().splitlines()
    rows = [row for row in counted if row.startswith("asr_http_requests_total{")]
    return sum(int(float(row.split()[-1])) for row in rows if 'status="403"' in row)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1"])
def test_a_page_of_another_host_or_port_leaves_no_trace(open_page, stack, hostile_port, host):
    page = open_page("/healthz")
    history = stack.get("/api/v1/asr/history")
    before = refused(stack)
    page.goto(f"http://{host}:{hostile_port}/?api={stack.url}")
    expect(page.locator("body")).to_contain_text("cross_site_request")
    assert refused(stack) == before + 4
    assert stack.get("/api/v1/asr/history") == history


def test_a_name_that_is_not_listed_says_how_to_list_it(open_page, named):
    page = open_page("/", url=f"http://evil.example:{named.api_port}")
    told = json.loads(page.locator("body").inner_text())["error"]
    assert told["code"] == "host_not_allowed"
    assert "ASR_ALLOWED_HOSTS=evil.example" in told["message"]


def test_the_pages_work_under_a_name_that_is_listed(open_page, named, demo):
    url = f"http://asr.lan:{named.api_port}"
    page = open_page("/", url=url)
    files: Any = [{"name": "lan.wav", "mimeType": "audio/wav", "buffer": demo.read_bytes()}]
    page.set_input_files("#files", files)
    expect(page.locator("#transcript")).to_contain_text("good morning")
    page.goto(f"{url}/dashboard")
    expect(page.locator("#state")).to_have_text("Live")

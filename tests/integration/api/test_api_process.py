"""The app as a process of its own, started the way a container starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import httpx


def test_uvicorn_starts_the_factory_from_the_environment_and_stops_clean(
    tmp_path, redis_server, free_port
):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "ASR_REDIS_URL": f"redis://127.0.0.1:{redis_server.port}/0",
        "ASR_KEY_PREFIX": "process-test",
        "ASR_STORE_URL": f"file://{tmp_path}/store",
        "ASR_SPOOL_DIR": str(tmp_path / "spool"),
    }
    command = [
        *(sys.executable, "-m", "uvicorn", "--factory", "asr_api.app:create_app"),
        *("--port", str(free_port)),
    ]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path)
    try:
        assert _ready(f"http://127.0.0.1:{free_port}/readyz", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
    assert list((tmp_path / "spool").glob("uploads-*")) == []


def _ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url).status_code == 200:
                return True
        except httpx.TransportError:
            time.sleep(0.05)
    return False

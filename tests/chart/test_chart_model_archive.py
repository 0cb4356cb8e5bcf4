"""The init container that fetches a model: the rendered script, as a process, from a server."""

from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address and checksum of a tar file with `model.pt` in it."""
    (tmp_path / "model.pt").write_bytes(b"weights")
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "model.pt", "model.pt")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        checksum = hashlib.sha256((tmp_path / "m.tar.gz").read_bytes()).hexdigest()
        yield f"http://127.0.0.1:{server.server_port}/m.tar.gz", checksum
        server.shutdown()


def fetch(render: Any, folder: Path, url: str, checksum: str) -> Any:
    """Runs what the chart renders for this archive; the model volume is `folder`."""
    sets = f"worker.model.archive.url={url},worker.model.archive.sha256={checksum}"
    spec = render("--set", sets).find("Deployment", "asr-worker-default")["spec"]["template"][
        "spec"
    ]
    (init,) = spec["initContainers"]
    told = {each["name"]: each["value"] for each in init["env"]}
    told["MODEL_FOLDER"] = told["MODEL_FOLDER"].replace(told["ASR_MODEL_CACHE"], str(folder), 1)
    command = [sys.executable if word == "python" else word for word in init["command"]]
    return subprocess.run(
        [*command, *init["args"]], env=told, capture_output=True, text=True, timeout=60
    )


def test_an_archive_is_fetched_once_into_the_folder_that_the_worker_loads(
    render: Any, archive: tuple[str, str], tmp_path: Path
) -> None:
    url, checksum = archive
    models = tmp_path / "models"
    told = fetch(render, models, url, checksum)
    assert told.returncode == 0, told.stderr
    assert (models / "archives" / checksum / "model.pt").read_bytes() == b"weights"
    assert [path.name for path in (models / "archives").iterdir()] == [checksum]
    again = fetch(render, models, url, checksum)
    assert (again.returncode, again.stdout) == (0, "")


def test_an_archive_with_another_checksum_is_refused_and_leaves_nothing(
    render: Any, archive: tuple[str, str], tmp_path: Path
) -> None:
    told = fetch(render, tmp_path / "models", archive[0], "a" * 64)
    assert told.returncode != 0
    assert archive[1] in told.stderr
    assert list((tmp_path / "models" / "archives").iterdir()) == []

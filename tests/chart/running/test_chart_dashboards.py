"""A real Prometheus scrapes the running chart under load: every panel shows something."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr_cli.local.demo import find_demo
from chart.panels import GPU_EXPORTER
from cluster_lab.programs import free_port

WINDOW = "[15s]"
PATIENCE_SECONDS = 90.0
ZERO = " or vector(0)"


class Prometheus:
    """A server that scrapes each second, with the labels that the monitors give."""

    def __init__(self, program: str, folder: Path, targets: dict[str, tuple[str, int]]) -> None:
        jobs = [
            {
                "job_name": pod,
                "honor_labels": part == "operator",
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{port}"],
                        "labels": {"namespace": "speech", "pod": pod},
                    }
                ],
            }
            for pod, (part, port) in targets.items()
        ]
        config = folder / "prometheus.yml"
        config.write_text(
            yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs})
        )
        self._url = f"http://127.0.0.1:{free_port()}"
        self._process = subprocess.Popen(
            [
                program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self._url.removeprefix('http://')}", "--log.level=error",
            ]
        )  # fmt: skip

    def values(self, query: str) -> list[float]:
        """Of an instant query; empty while the server is starting."""
        url = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                told = json.load(reply)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        except OSError:
            return []
        return [float(each["value"][1]) for each in told["data"]["result"]]

    def exports(self, query: str) -> bool:
        """Whether all metrics of a query are named by what is scraped, with or without samples."""
        url = f"{self._url}/api/v1/metadata"
        with urllib.request.urlopen(url, timeout=10) as reply:
            known = {name.removesuffix("_total") for name in json.load(reply)["data"]}
        names = re.findall(r"\basr_[a-z_]+", query)
        return bool(names) and {name.removesuffix("_total") for name in names} <= known

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def prometheus(platform: Any, tmp_path: Path) -> Iterator[Prometheus]:
    program = shutil.which("prometheus")
    if not program:
        pytest.skip("prometheus is not installed: apt install prometheus")
    ports = platform.ports
    server = Prometheus(
        program,
        tmp_path,
        {
            "asr-api-0": ("api", ports["api"]),
            "asr-worker-0": ("worker", ports["workerMetrics"]),
            "asr-courier-0": ("courier", ports["courierMetrics"]),
            "asr-operator-0": ("operator", ports["operatorMetrics"]),
        },
    )
    yield server
    server.stop()


def queries(chart: Path) -> dict[str, str]:
    """Every query of every dashboard by where it stands, without those on the GPU exporter and on
    the model server of an engine that no worker here has.
    """
    found = {}
    for file in sorted((chart / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$namespace", "speech")
                query = query.replace("[$__rate_interval]", WINDOW)
                found[f"{file.stem}: {panel['title']} {target['refId']}"] = query
    for_gpus = {name for name, query in found.items() if GPU_EXPORTER in query}
    assert for_gpus == {"workers: GPU use A", "workers: GPU memory A"}
    for_servers = {name for name, query in found.items() if "asr_model_server" in query}
    assert len(for_servers) == 5
    return {n: query for n, query in found.items() if n not in for_gpus | for_servers}


def shows_data(prometheus: Prometheus, query: str) -> bool:
    """Whether a panel has a number, and not only the zero that it shows where there is none.

    A counter of what has not happened has no sample yet: then its name must at least be exported.
    """
    asked = query.replace(ZERO, "")
    if any(math.isfinite(value) for value in prometheus.values(asked)):
        return True
    return asked != query and prometheus.exports(asked)


def test_every_panel_of_every_dashboard_shows_data_under_load(
    platform: Any, prometheus: Prometheus, chart_folder: Path, tmp_path: Path
) -> None:
    template = dict(platform.rendered.pods())["Pod/asr-test"]
    (client,) = platform.node.containers_of("asr-client", template)
    demo = find_demo()
    assert demo
    client.command = ["asr", "transcribe", *[client.path_of(demo.audio)] * 5]
    missing = queries(chart_folder)
    assert len(missing) > 50
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing and time.monotonic() < deadline:
        told = client.run(120)
        assert told.returncode == 0, told.stderr
        missing = {
            name: query for name, query in missing.items() if not shows_data(prometheus, query)
        }
    assert missing == {}
    for wrong in ("max(asr_no_such)", 'max(asr_queue_up{pool="none"})', "0 / 0 * asr_queue_up"):
        assert not shows_data(prometheus, wrong), wrong
    assert not shows_data(prometheus, f"sum(asr_no_such_total){ZERO}")

"""Which cluster the operator works in, and by which way."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubernetes.config import incluster_config

from asr_operator.cluster.rest_client import load_configuration


@pytest.mark.parametrize(
    ("host", "url"), [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_in_a_pod_the_api_server_is_reached_past_any_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, url: str
) -> None:
    """Chart users set proxies for all programs; none of them leads to the cluster's own server."""
    for name in ("TOKEN", "CERT"):
        file = tmp_path / name
        file.write_text("x")
        monkeypatch.setattr(incluster_config, f"SERVICE_{name}_FILENAME", str(file))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    configuration = load_configuration()
    assert configuration.host == url
    assert configuration.proxy is None

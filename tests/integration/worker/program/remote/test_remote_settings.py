"""Settings of engine `remote`: what is refused, certificates, and no proxy that nobody named."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_worker.engines.remote import RemoteEngine
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

Make = Callable[..., RemoteEngine]


def test_a_proxy_of_the_environment_is_not_asked(
    model_server: Any, remote: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert remote().model_id == "listener"


def test_a_certificate_of_ones_own_authority_is_trusted_where_it_is_named(
    model_server: Any, remote: Make, certificates: Any
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    model_server.stop()
    model_server.start(context)
    url = model_server.url.replace("http:", "https:")
    with pytest.raises(ModelNotLoaded, match="CERTIFICATE_VERIFY_FAILED"):
        remote(remote_url=url)
    assert remote(remote_url=url, remote_ca_file=certificates.authority).model_id == "listener"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"remote_url": "localhost:8000"}, "http"),
        ({"remote_url": "http://user:pw@host"}, "ASR_REMOTE_API_KEY"),
        ({"remote_url": "http://host?key=x"}, "ASR_REMOTE_API_KEY"),
        ({"remote_api_key": "a\nb"}, "without spaces"),
        ({"remote_api_key": "schlüssel"}, "ASCII"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_without_being_shown(
    setting: dict[str, str], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        WorkerSettings(_env_file=None, **setting)  # type: ignore[arg-type]
    for secret in ("pw", "schlüssel", "key=x"):
        assert secret not in str(raised.value)


def test_settings_that_do_not_go_together_are_named() -> None:
    for changes, words in (
        ({}, "ASR_REMOTE_URL"),
        ({"remote_url": "http://host", "remote_timeout_seconds": 500}, "ASR_PROGRESS_DEADLINE"),
    ):
        with pytest.raises(ModelNotLoaded, match=words):
            RemoteEngine(WorkerSettings(_env_file=None, **changes))  # type: ignore[arg-type]


def test_a_file_of_certificates_that_is_none_is_named(tmp_path: Path) -> None:
    for file in (tmp_path / "missing", tmp_path / "empty"):
        (tmp_path / "empty").write_text("no certificate")
        settings = WorkerSettings(_env_file=None, remote_url="https://host", remote_ca_file=file)  # type: ignore[call-arg]
        with pytest.raises(ModelNotLoaded, match="ASR_REMOTE_CA_FILE"):
            RemoteEngine(settings)

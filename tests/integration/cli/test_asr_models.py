"""`asr models`, and the models that `asr up` takes by itself."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest

from asr_cli.local.demo import find_demo, transcript_is_right
from asr_cli.local.ports import free_port
from asr_core.models import WHISPER_BASE, catalogue
from asr_worker.settings import WorkerSettings

pytestmark = pytest.mark.timeout(600)
HAS_ENGINE = "whisper" in get_args(WorkerSettings.model_fields["engine"].annotation)


def test_the_table_fits_eighty_columns_and_json_says_all(asr: Any, tmp_path: Path) -> None:
    table = asr("models", "list", COLUMNS="80")
    assert table.returncode == 0, table.stderr
    lines = table.stdout.splitlines()
    assert all(model.name in table.stdout for model in catalogue())
    assert max(len(line) for line in lines if not line.startswith("in ")) <= 80
    assert lines[-1] == f"in {tmp_path / 'data' / 'models'}"
    told = {each["name"]: each for each in json.loads(asr("models", "list", "--json").stdout)}
    assert told["whisper-base"]["state"] == "absent"
    assert told["whisper-base"]["aliases"] == ["base"]
    assert told["whisper-base"]["files"][0]["sha256"] == WHISPER_BASE.files[0].sha256


def test_a_model_is_pulled_from_a_mirror_verified_loaded_and_removed(
    asr: Any, tmp_path: Path, whisper_base: Path
) -> None:
    """The mirror is a folder, so nobody is asked."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "whisper-base").symlink_to(whisper_base)
    where = {"ASR_MODEL_CACHE": str(tmp_path / "cache"), "ASR_OFFLINE": "1"}
    pulled = asr("models", "pull", "base", "--mirror", str(mirror), **where)
    assert pulled.returncode == 0, pulled.stderr
    folder = Path(pulled.stdout.strip())
    assert folder == tmp_path / "cache" / "whisper-base"
    assert f"whisper-base: verified, from {mirror}" in pulled.stderr
    again = asr("models", "pull", "whisper-base", **where)
    assert (again.returncode, again.stdout, again.stderr) == (0, f"{folder}\n", "")
    assert asr("models", "verify", **where).stdout == "whisper-base: verified\n"
    (folder / "config.json").write_text("{}")
    broken = asr("models", "verify", "base", **where)
    assert (broken.returncode, broken.stdout) == (
        1, "whisper-base: config.json has 2 bytes, not 2,309\n",
    )  # fmt: skip
    gone = asr("models", "remove", "base", **where)
    assert (gone.returncode, gone.stderr) == (0, "whisper-base: 148 MB removed\n")
    assert not folder.exists()


def test_what_is_not_there_or_not_known_is_said_in_a_line(asr: Any, tmp_path: Path) -> None:
    unknown = asr("models", "pull", "whisper-9")
    assert unknown.returncode == 2
    assert "no model 'whisper-9' in the catalogue; there are: sensevoice-small" in unknown.stderr
    assert "nothing to fetch" in asr("models", "pull", "embedded").stderr
    offline = asr("models", "pull", "whisper-tiny", ASR_OFFLINE="1")
    assert offline.returncode == 1
    last = offline.stderr.strip().splitlines()[-1]
    assert last == (
        "asr: whisper-tiny could not be fetched: hubs and package indexes: skipped (ASR_OFFLINE)"
    )
    assert "is not cached" in asr("models", "remove", "tiny").stderr
    assert "no models in" in asr("models", "verify").stderr
    lock = tmp_path / "data" / "models" / ".locks" / "whisper-tiny"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        busy = asr("models", "remove", "tiny")
    assert (busy.returncode, "by another process" in busy.stderr) == (1, True)


def test_up_without_any_model_takes_the_bundled_one_and_says_so(asr: Any) -> None:
    port = str(free_port("127.0.0.1", 0))
    done = asr("up", "--once", "--port", port, "--data", "here", ASR_MODEL="", ASR_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert "whisper-base could not be fetched: hubs and package indexes: skipped" in done.stderr
    assert "no model for human speech is available" in done.stderr
    assert "model: embedded" in done.stderr
    assert done.stderr.count("no human voice") == 2  # before the start, and beside the transcript


def test_up_with_a_named_model_that_cannot_be_had_does_not_start(asr: Any) -> None:
    done = asr("up", "--once", "--model", "whisper-tiny", "--data", "here", ASR_OFFLINE="1")
    assert done.returncode == 1
    assert "asr: whisper-tiny could not be fetched" in done.stderr
    assert "starts" not in done.stderr


@pytest.mark.skipif(not HAS_ENGINE, reason="this release has no engine for Whisper")
def test_up_by_itself_hears_the_recording_with_whisper_and_starts_again_without_a_download(
    asr: Any, tmp_path: Path, whisper_base: Path
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "whisper-base").symlink_to(whisper_base)
    demo = find_demo()
    assert demo is not None
    for mirror in (str(tmp_path / "mirror"), ""):
        port = str(free_port("127.0.0.1", 0))
        done = asr(
            *("up", "--once", "--port", port, "--data", "here", "--model", "auto"),
            ASR_MODEL_MIRROR=mirror, ASR_OFFLINE="1", ASR_CPU_THREADS="2",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert transcript_is_right(done.stdout.split("“")[1].split("”")[0], demo.expected)
        assert "model: whisper-base, engine: whisper" in done.stderr
        assert ("verified, from" in done.stderr) is bool(mirror)
    assert os.listdir(tmp_path / "here" / "models" / ".partial") == []


@pytest.mark.parametrize(
    ("url", "model"), [("http://localhost:1/v1", "embedded"), ("", "auto")], ids=["server", "none"]
)
def test_no_model_is_fetched_for_workers_whose_model_is_on_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, model: str
) -> None:
    from asr_cli.local.local_platform import prepare

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASR_MODEL", raising=False)
    monkeypatch.setenv("ASR_REMOTE_URL", url)
    prepared = prepare(tmp_path / "data", host=None, port=0, workers=1, model=None)
    prepared.folder.close()
    assert prepared.plan.model == model

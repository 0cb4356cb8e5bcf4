"""The folder of `asr up` is closed to others, and nothing else in or beside it is touched."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from asr_cli.errors import FolderOfOthers
from asr_cli.local import data_folder
from asr_cli.local.data_folder import PARTS, DataFolder
from asr_cli.local.redis_socket import listens, socket_path, socket_url
from asr_cli.local.running_platform import RunningPlatform, find_place, find_running
from asr_core.errors import QueueUnavailable


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def laid_out(folder: Path) -> Path:
    """As a version that left the umask to the user did."""
    for name in PARTS:
        (folder / name / "inner").mkdir(parents=True)
        (folder / name / "inner" / "file").write_bytes(b"x")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o775 if path.is_dir() else 0o664)
    return folder


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("ASR_", "REDIS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_what_was_open_is_closed_and_it_is_said_once(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "data")
    (folder / "store/inner/file").chmod(0o640)
    for was_open in (True, False):
        held = DataFolder(folder)
        assert held.was_open == was_open
        assert held.still_open == ()
        held.close()
        for path in (folder, *folder.rglob("*")):
            assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_a_walk_that_was_broken_off_is_finished_by_the_next_start(tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "data")
    folder.chmod(0o700)
    (folder / "logs").chmod(0o700)
    assert DataFolder(folder).was_open
    assert mode(folder / "store/inner/file") == 0o600


def test_a_new_folder_is_closed_and_nothing_is_said(tmp_path: Path) -> None:
    held = DataFolder(tmp_path / "deep" / "data")
    assert not held.was_open
    assert {mode(held.path), *(mode(held.path / name) for name in PARTS)} == {0o700}


def test_what_else_is_in_the_folder_stays_as_it_is(tmp_path: Path) -> None:
    project = laid_out(tmp_path / "project")
    (project / "notes").write_bytes(b"")
    (project / "notes").chmod(0o664)
    assert DataFolder(project).was_open
    assert (mode(project), mode(project / "notes")) == (0o775, 0o664)
    assert mode(project / "store") == mode(project / "redis") == 0o700


def test_a_link_is_not_followed_and_its_target_is_named(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    disk.chmod(0o755)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "store").symlink_to(disk)
    assert DataFolder(folder).still_open == (folder / "store",)
    assert mode(disk) == 0o755


def test_parts_that_somebody_else_has_laid_out_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "redis").mkdir()
    owner = os.getuid() or 4711
    os.chown(tmp_path / "redis", owner, -1)
    monkeypatch.setattr(data_folder.os, "getuid", lambda: owner + 1)
    with pytest.raises(FolderOfOthers, match=f"redis belongs to another user .uid {owner}"):
        DataFolder(tmp_path)


def test_a_socket_stands_in_the_folder_or_in_a_private_one_with_a_short_name(
    tmp_path: Path,
) -> None:
    assert socket_path(tmp_path) == tmp_path / "redis.sock"
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    elsewhere = socket_path(deep)
    assert mode(elsewhere.parent) == 0o700
    assert elsewhere != socket_path(deep.parent / ("y" * 100))
    assert list(tmp_path.iterdir()) == [deep]


def running(folder: Path, api_url: str = "http://127.0.0.1:1") -> socket.socket:
    """A folder as a running `asr up` has it."""
    DataFolder(folder).close()
    there = folder / "redis.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(there))
    listener.listen()
    RunningPlatform(str(there), "team-", api_url).write(folder)
    return listener


def test_the_running_one_is_found_and_a_dead_one_is_not(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        place = find_place(None, store=True)
        assert place.redis.url == socket_url(tmp_path / "data/redis.sock")
        assert place.redis.key_prefix == "team-"
        assert place.store_url == (tmp_path / "data/store").as_uri()
    assert (tmp_path / "data/redis.sock").is_socket()  # left behind, as by a kill
    assert not listens(tmp_path / "data/redis.sock")
    assert find_running(tmp_path / "data") is None
    with pytest.raises(
        QueueUnavailable, match=r"No `asr up` runs in .*data: start one .*ASR_REDIS"
    ):
        find_place(None)


def test_settings_that_name_a_redis_or_a_store_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "data"):
        monkeypatch.setenv("REDIS_TIMEOUT_SECONDS", "9")
        monkeypatch.setenv("REDIS_PASSWORD", "")
        assert find_place(None).redis.url
        monkeypatch.setenv("ASR_STORE_URL", "s3://bucket")
        assert find_place(None).redis.url
        assert find_place(None, store=True).store_url == "s3://bucket"
        monkeypatch.setenv("REDIS_HOST", "redis.internal")
        assert find_place(None).redis.host == "redis.internal"
        assert find_place(tmp_path / "data").redis.url


def test_where_there_never_was_one_the_settings_defaults_hold_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = find_place(None)
    assert (place.redis.url, place.redis.port) == ("", 6379)
    assert (
        f"no `asr up` runs in {tmp_path}/data: using Redis on 127.0.0.1" in capsys.readouterr().err
    )
    with pytest.raises(QueueUnavailable, match=r"away. No `asr up` runs in"), place.advising():
        raise QueueUnavailable("away")
    with pytest.raises(QueueUnavailable, match="No `asr up` runs in /nowhere"):
        find_place(Path("/nowhere"))

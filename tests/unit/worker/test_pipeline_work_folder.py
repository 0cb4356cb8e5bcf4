"""Local files are removed with their process, or by the next one."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from asr_core.errors import DependencyError
from asr_worker.attempts.scratch_dir import LEAST_FREE_BYTES, WorkFolder


def test_the_folder_of_a_dead_process_is_removed_and_that_of_a_live_one_is_not(
    tmp_path: Path,
) -> None:
    dead = tmp_path / "asr-worker-dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "1-task").mkdir()
    (dead / "1-task" / "pcm").write_bytes(b"samples")
    live = WorkFolder(tmp_path)
    assert not dead.exists()
    other = WorkFolder(tmp_path)
    assert live.path.exists()
    live.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_worker_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "someone-else").mkdir()
    WorkFolder(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == ["someone-else"]


def test_no_two_attempts_share_a_folder(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path)
    assert folder.for_task("id") != folder.for_task("id")
    folder.close()


def test_a_full_disk_has_no_room_until_it_has_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = WorkFolder(tmp_path)
    assert folder.has_room()
    disks = iter([disk(LEAST_FREE_BYTES - 1), disk(0), disk(LEAST_FREE_BYTES)])
    monkeypatch.setattr(os, "statvfs", lambda _path: next(disks))
    with capture_logs() as logs:
        assert [folder.has_room() for _ in range(3)] == [False, False, True]
    assert [log["log_level"] for log in logs] == ["error", "info"]
    monkeypatch.undo()
    folder.close()


def disk(free_bytes: int, *, free_files: int = 1000) -> SimpleNamespace:
    return SimpleNamespace(f_bavail=free_bytes, f_frsize=1, f_files=2000, f_favail=free_files)


def test_a_disk_without_inodes_or_that_may_only_be_read_has_no_room_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = WorkFolder(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _path: disk(2 * LEAST_FREE_BYTES, free_files=0))
    assert "inodes" in folder.check()
    monkeypatch.undo()
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert folder.check().endswith("cannot be written")
    monkeypatch.undo()
    assert folder.check() == ""
    folder.close()


def test_a_folder_that_cannot_be_made_ends_the_worker_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DependencyError, match=r"decoded audio cannot be used.*ASR_WORK_DIR"):
        WorkFolder(tmp_path / "file" / "work")

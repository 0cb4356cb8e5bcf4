"""A user without home or name gets both, and one that has them keeps them."""

from __future__ import annotations

import getpass
import os
import pwd
import tempfile
from pathlib import Path
from typing import Any

import pytest

from asr_core.process.home import ensure_home
from asr_core.process.private_folder import temporary_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def nobody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> Any:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("nobody_known")
def test_a_user_without_passwd_entry_gets_a_home_and_a_name(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ: dict[str, str] = {}
    ensure_home(environ)
    home = Path(environ["HOME"])
    assert home.parent == temporary
    assert home.stat().st_mode & 0o777 == 0o700
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", environ["USER"])
    assert getpass.getuser() == "asr"
    again: dict[str, str] = {}
    ensure_home(again)
    assert again == environ


def test_a_home_that_can_be_written_stays(temporary: Path) -> None:
    environ = {"HOME": str(temporary), "USER": "ann"}
    ensure_home(environ)
    assert environ == {"HOME": str(temporary), "USER": "ann"}


def test_a_home_that_is_not_there_is_replaced(temporary: Path) -> None:
    environ = {"HOME": "/nowhere/at/all", "USER": "ann"}
    ensure_home(environ)
    assert Path(environ["HOME"]).parent == temporary


def test_a_home_that_cannot_be_written_is_replaced(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """containerd sets `HOME=/` for a user that it does not know, and the root is read-only."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    environ = {"HOME": "/", "USER": "ann"}
    ensure_home(environ)
    assert Path(environ["HOME"]).parent == temporary


@pytest.mark.usefixtures("nobody_known")
def test_another_s_folder_of_that_name_is_not_taken(temporary: Path) -> None:
    trap = temporary / f"asr-home-{os.getuid()}"
    trap.symlink_to(temporary)
    environ: dict[str, str] = {}
    ensure_home(environ)
    assert Path(environ["HOME"]) != trap
    assert Path(environ["HOME"]).stat().st_mode & 0o777 == 0o700


def test_a_temporary_folder_whose_name_somebody_took_is_not_used(temporary: Path) -> None:
    first = temporary_folder("asr-spool")
    assert first == temporary / f"asr-spool-{os.getuid()}"
    assert temporary_folder("asr-spool") == first
    first.chmod(0o777)
    second = temporary_folder("asr-spool")
    assert second != first
    assert second.stat().st_mode & 0o777 == 0o700

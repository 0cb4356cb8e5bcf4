"""The cache: what is loaded has been hashed, and is hashed again once it has changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from asr_core.errors import ModelDamaged
from asr_core.models import CacheState, ModelCache
from asr_core.models import cache as cache_module


@pytest.fixture
def folder(small: Any, cache: ModelCache) -> Path:
    """The small model, installed."""
    partial = cache.partial(small.model)
    partial.mkdir(parents=True)
    for name, content in small.contents.items():
        (partial / name).write_bytes(content)
    (partial / "leftover.whl").write_bytes(b"of a download")
    return cache.install(small.model, "here")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose content was looked at."""
    seen: list[str] = []
    real = cache_module.problem_of

    def watched(folder: Path, file: Any) -> str | None:
        seen.append(file.name)
        return real(folder, file)

    monkeypatch.setattr(cache_module, "problem_of", watched)
    return seen


def test_what_was_hashed_is_not_hashed_again(
    small: Any, cache: ModelCache, folder: Path, hashed: list[str]
) -> None:
    assert cache.verified(small.model) == folder
    assert (cache.state(small.model), cache.source(small.model)) == (CacheState.CACHED, "here")
    assert hashed == []
    assert not (folder / "leftover.whl").exists()


def test_a_touched_file_is_hashed_once_more_and_then_known(
    small: Any, cache: ModelCache, folder: Path, hashed: list[str]
) -> None:
    os.utime(folder / "model.bin", (1, 1))
    assert cache.state(small.model) is CacheState.UNCHECKED
    assert cache.verified(small.model) == folder
    assert hashed == ["config.json", "model.bin"]
    assert cache.verified(small.model) == folder
    assert len(hashed) == 2


def test_a_copy_that_keeps_whole_seconds_is_known(
    small: Any, cache: ModelCache, folder: Path, tmp_path: Path, hashed: list[str]
) -> None:
    copied = ModelCache(tmp_path / "image")
    shutil.copytree(folder, copied.folder(small.model))  # copy2: as archives keep times
    for each in copied.folder(small.model).iterdir():
        seconds = int(each.stat().st_mtime)
        os.utime(each, (seconds, seconds))
    assert copied.verified(small.model)
    assert hashed == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.write_bytes(bytes(3_000_000)), "SHA-256"),
        (lambda file: file.write_bytes(b"short"), "5 bytes, not 3,000,000"),
        (lambda file: file.unlink(), "missing"),
    ],
    ids=["other", "short", "missing"],
)
def test_a_changed_file_is_never_taken_for_the_model(
    small: Any, cache: ModelCache, folder: Path, change: Any, said: str
) -> None:
    change(folder / "model.bin")
    for _ in range(2):
        with pytest.raises(ModelDamaged, match=said) as raised:
            cache.verified(small.model)
    assert "asr models pull small-model" in str(raised.value)


@pytest.mark.parametrize("stamp", ["", "[]", '{"files": 3}', "not json"])
def test_a_stamp_that_says_nothing_is_no_proof(
    small: Any, cache: ModelCache, folder: Path, stamp: str, hashed: list[str]
) -> None:
    (folder / ".verified.json").write_text(stamp)
    assert cache.verified(small.model) == folder
    assert hashed == ["config.json", "model.bin"]


def test_what_the_catalogue_pins_anew_is_hashed(
    small: Any, cache: ModelCache, folder: Path
) -> None:
    """A later release knows other content under the same name."""
    from dataclasses import replace

    config = replace(small.model.files[0], sha256="0" * 64)
    later = replace(small.model, files=(config, *small.model.files[1:]))
    with pytest.raises(ModelDamaged, match=r"config\.json has SHA-256"):
        cache.verified(later)


def test_removing_frees_what_was_there_and_what_was_begun(
    small: Any, cache: ModelCache, folder: Path
) -> None:
    cache.partial(small.model).mkdir()
    (cache.partial(small.model) / "model.bin").write_bytes(b"begun")
    assert cache.remove(small.model) > 3_000_000
    assert cache.state(small.model) is CacheState.ABSENT
    assert cache.remove(small.model) == 0
    assert cache.verified(small.model) is None

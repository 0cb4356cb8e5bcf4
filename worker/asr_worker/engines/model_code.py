"""Refuses code in models: nothing in a model's folder or named by its configuration may run.

FunASR has many entry points for code: `torch.load` of a pickle, `trust_remote_code`, which some of
its models set themselves, a `config.yaml` whose `vad_kwargs` name a module to import or
requirements to install, `torch.hub` for a local folder, `eval` of a configuration string. An audit
hook of the interpreter (PEP 578) sees all of them and cannot be removed by code that runs later.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, Final

import asr_core
import asr_worker
from asr_core.errors import AsrError

# Read by `torch.load` at every call; the second lets callers that say nothing load anything.
FORCE_WEIGHTS_ONLY: Final = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
FORCE_ANYTHING: Final = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_PROGRAMS: Final = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"})


class CodeRefused(AsrError):
    """A model tried to run code."""

    code = "model_code_refused"


class _Guard:
    """The audit hook: how many models are being loaded, and what was refused meanwhile."""

    def __init__(self) -> None:
        self.loads = 0
        self.trusts = False
        self.refused: list[str] = []

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Called for every audited event of the process, so common events return early."""
        if event == "exec":
            code = args[0]
            if code.co_filename.startswith("<"):
                if _is_funasr(_caller()) and _names_something(code):
                    self._refuse("an expression in its configuration that is more than numbers")
            elif self._watches and not _is_installed(code.co_filename):
                self._refuse(f"code of its own ({code.co_filename})")
        elif event == "import":
            if self._watches and args[1] and not _is_installed(args[1]):
                self._refuse(f"a library of its own ({args[1]})")
        elif event in _PROGRAMS and _is_funasr(_asker()):
            self._refuse(f"a program ({args[0]})")

    @property
    def _watches(self) -> bool:
        return self.loads > 0 and not self.trusts

    def _refuse(self, what: str) -> None:
        if self.loads:
            self.refused.append(what)
        raise CodeRefused(f"it wants to run {what}")


@cache
def _guard() -> _Guard:
    guard = _Guard()
    sys.addaudithook(guard)
    return guard


@contextlib.contextmanager
def no_model_code(*, trusted: bool = False) -> Iterator[None]:
    """Context in which models are loaded without running any of their code.

    `trusted` is for a model whose Python the operator allows: programs, expressions and pickles
    stay refused.

    Raises CodeRefused at its end for refusals that FunASR ignored: it treats a module that cannot
    be imported as one that is not needed.
    """
    os.environ[FORCE_WEIGHTS_ONLY] = "1"
    os.environ.pop(FORCE_ANYTHING, None)  # torch refuses to read anything where both are set
    guard, path = _guard(), list(sys.path)
    guard.loads += 1
    guard.trusts = trusted
    try:
        yield
        if guard.refused:
            raise CodeRefused(f"it wants to run {guard.refused[0]}")
    finally:
        guard.loads -= 1
        guard.trusts = False
        guard.refused.clear()
        sys.path[:] = path  # FunASR appends the folders that it imports from, for good


def refusal(error: BaseException) -> str:
    """Why a model was refused as code; empty for any other error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CodeRefused):
            return f"{cause}; only weights and settings are loaded from a model"
        if isinstance(cause, pickle.UnpicklingError):
            reason = str(cause.__context__ or cause).splitlines()[0]
            return f"its weights are no plain tensors; more of a pickle could run code ({reason})"
        cause = cause.__cause__ or cause.__context__
    return ""


@cache
def _installed_folders() -> tuple[str, ...]:
    """The standard library, installed packages, this project, and what PYTHONPATH adds."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [*(sysconfig.get_path(name) or "" for name in names), *site.getsitepackages()]
    folders += [site.getusersitepackages(), sysconfig.get_config_var("DESTSHARED") or ""]
    folders += [str(Path(str(room.__file__)).parents[1]) for room in (asr_core, asr_worker)]
    folders += os.environ.get("PYTHONPATH", "").split(os.pathsep)
    known = {os.path.abspath(each) for each in folders if each}
    return tuple(folder + os.sep for folder in known | set(map(os.path.realpath, known)))


def _is_installed(file: str) -> bool:
    return os.path.abspath(file).startswith(_installed_folders())


def _is_funasr(variables: dict[str, Any]) -> bool:
    return str(variables.get("__name__", "")).partition(".")[0] == "funasr"


def _caller() -> dict[str, Any]:
    """The global variables of the code that triggered the hook; empty at the stack's bottom."""
    frame = sys._getframe(1).f_back
    return frame.f_globals if frame else {}


def _asker() -> dict[str, Any]:
    """The same, of the innermost caller that is not the standard library's."""
    frame = sys._getframe(1).f_back
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if name not in sys.stdlib_module_names:
            return frame.f_globals
        frame = frame.f_back
    return {}


def _names_something(code: CodeType) -> bool:
    """False for arithmetic on numbers and lists of them, all that FunASR's configurations need."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return bool(code.co_names) or any(map(_names_something, inner))

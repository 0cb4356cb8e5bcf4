"""Finds and loads FunASR models: folder, download, device.

Works around FunASR: its output while it is imported, its downloads, and its silent fallback to the
CPU.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import torch
from omegaconf import OmegaConf

from asr_core.models import EMBEDDED
from asr_worker.engines.cached_models import cached_folder
from asr_worker.engines.funasr_family import HUGGING_FACE
from asr_worker.engines.model_code import no_model_code, refusal
from asr_worker.engines.registry import import_bare, import_for, missing_packages
from asr_worker.engines.whisper import model_folder as whisper_folder
from asr_worker.errors import ModelNotLoaded

# Of Hugging Face's libraries; here it holds for ModelScope, too.
OFFLINE: Final = "HF_HUB_OFFLINE"
# No update check, no progress bars, no code from a model folder.
SAFE_OPTIONS: Final[dict[str, Any]] = {
    "disable_update": True,
    "disable_pbar": True,
    "check_latest": False,
    "trust_remote_code": False,
    "disable_log": True,
}


@dataclass(frozen=True)
class ModelFolder:
    """A local model: its configured name, its folder, its class in FunASR's registry."""

    model_id: str
    path: Path
    architecture: str


def find_model(
    model: str, revision: str = "", *, cache_folder: Path | None = None, engine: str = "auto"
) -> ModelFolder:
    """Resolves `embedded`, a name of the catalogue in the cache folder, a local folder, a name of
    Whisper's or a hub id, which is downloaded if necessary; with engine `whisper` every hub id is
    one of Hugging Face.

    Raises ModelNotLoaded.
    """
    model, path = cached_folder(model, cache_folder) or (model, Path(model))
    if model == EMBEDDED:
        path = _embedded_folder()
    if not path.is_dir():
        path = _download(model, revision, engine)
    if whisper_folder.is_whisper(path):
        return ModelFolder(model, path, whisper_folder.ARCHITECTURE)
    config = path / "config.yaml"
    if not config.is_file():
        return ModelFolder(model, path, _hugging_face_architecture(model, path))
    architecture = OmegaConf.select(OmegaConf.load(config), "model")
    if not isinstance(architecture, str):
        raise ModelNotLoaded(f"model {model!r}: {config} names no model")
    return ModelFolder(model, path, architecture)


def _hugging_face_architecture(model: str, path: Path) -> str:
    """FunASR's class for a folder with only `config.json`. Raises ModelNotLoaded."""
    try:
        described = json.loads((path / "config.json").read_bytes())
        kind = str(described.get("model_type", "")) if isinstance(described, dict) else ""
    except OSError:
        raise ModelNotLoaded(
            f"model {model!r}: {path} holds neither config.yaml nor config.json"
        ) from None
    except ValueError:
        raise ModelNotLoaded(f"model {model!r}: {path / 'config.json'} is no JSON") from None
    if kind not in HUGGING_FACE:
        known = ", ".join(HUGGING_FACE)
        raise ModelNotLoaded(
            f"model {model!r}: FunASR has no class for the model_type {kind!r} of its config.json, "
            f"only for {known}; a server that has, such as vLLM, is used with engine remote"
        )
    return HUGGING_FACE[kind]


def build_model(folder: ModelFolder, device: str, threads: int) -> tuple[Any, dict[str, Any]]:
    """A model ready for inference, and the parts FunASR built with it: `frontend`, `tokenizer`.

    Raises ModelNotLoaded.
    """
    with quiet():
        try:
            import_for(folder.path)
            from funasr import AutoModel

            with no_model_code():
                model, parts = AutoModel.build_model(
                    model=str(folder.path), device=device, ncpu=threads, **SAFE_OPTIONS
                )
        except Exception as error:
            raise not_loaded(folder.model_id, folder.path, error) from error
    assert_device(model, device)
    return model.eval(), parts


def not_loaded(model_id: str, path: Path, error: Exception) -> ModelNotLoaded:
    """The error for the log: names missing packages, or what was refused as code."""
    if reason := refusal(error):
        return ModelNotLoaded(f"model {model_id!r} cannot be loaded: {reason}")
    if missing := " ".join(missing_packages(path, error)):
        return ModelNotLoaded(
            f"model {model_id!r} needs what is not installed here: pip install {missing}"
        )
    if isinstance(error, AssertionError) and "init_param" in str(error):
        return ModelNotLoaded(f"model {model_id!r}: {path} holds no model.pt")
    return ModelNotLoaded(f"model {model_id!r} cannot be loaded: {error}")


def pick_device(use_gpu: bool | None) -> str:
    """`cuda:0` or `cpu`. None takes a GPU if there is one, True requires it, False never does."""
    present = use_gpu is not False and torch.cuda.is_available()
    if use_gpu and not present:
        raise ModelNotLoaded("a GPU is required (ASR_USE_GPU=true) and torch finds none")
    return "cuda:0" if present else "cpu"


def thread_count(cpu_threads: int | None) -> int:
    """Threads for torch: as configured, else all CPUs of this process but one.

    That one decodes and talks to Redis. If torch uses it as well, they contend: on two CPUs two
    threads gave three quarters of the rate of one.
    """
    if cpu_threads is not None:
        return cpu_threads
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        processors = os.cpu_count() or 1
    return max(processors - 1, 1)


def assert_device(model: torch.nn.Module, device: str) -> None:
    """Raises ModelNotLoaded where FunASR has silently fallen back to the CPU."""
    found = str(next(model.parameters()).device)
    if found != device:
        raise ModelNotLoaded(f"the model was to be on {device} and is on {found}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppresses FunASR's prints to standard output, which may be a log of JSON lines."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _embedded_folder() -> Path:
    folder = Path(str(resources.files("asr_worker"))) / EMBEDDED
    if not (folder / "model.pt").is_file():
        raise ModelNotLoaded(f"the embedded model is missing: {folder} holds no model.pt")
    return folder


def _download(model: str, revision: str, engine: str) -> Path:
    if model.startswith((".", "/", "~")):
        raise ModelNotLoaded(f"model folder {model!r} does not exist")
    whisper = whisper_folder.hub_id(model) or (model if engine == "whisper" else None)
    if whisper is not None:
        return whisper_folder.download(model, whisper, revision)
    if os.environ.get(OFFLINE) == "1":
        raise ModelNotLoaded(
            f"model {model!r} is not a local folder, and downloads are off (ASR_OFFLINE)"
        )
    options = {"model": model, **SAFE_OPTIONS}
    if revision:
        options["model_revision"] = revision
    with quiet():
        import_bare()
        from funasr.download.download_model_from_hub import download_model

        try:
            path = Path(download_model(**options).get("model_path", ""))
        except Exception as error:
            raise ModelNotLoaded(f"model {model!r} cannot be downloaded: {error}") from error
    if not path.is_dir():
        raise ModelNotLoaded(f"model {model!r} is no folder here and cannot be downloaded")
    return path

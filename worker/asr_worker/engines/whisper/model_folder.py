"""Whisper models: names, hub ids, and what a folder of CTranslate2 looks like.

Imports neither CTranslate2 nor a hub's client before it needs one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from asr_worker.errors import ModelNotLoaded

ARCHITECTURE: Final = "Whisper"
EXTRA: Final = "pip install 'asr-platform[whisper]'"
_SYSTRAN: Final = (
    "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en",
    "large-v1", "large-v2", "large-v3",
)  # fmt: skip
# Systran converted no turbo; faster-whisper takes this one, too.
_TURBO: Final = "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
_FILES: Final = (
    "model.bin", "config.json", "tokenizer.json", "preprocessor_config.json", "vocabulary.*",
)  # fmt: skip
NAMES: Final[dict[str, str]] = {
    **{name: f"Systran/faster-whisper-{name}" for name in _SYSTRAN},
    "large": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": _TURBO,
    "turbo": _TURBO,
}


def hub_id(model: str) -> str | None:
    """The hub id of a name (`base`, `whisper-base`), or of what is an id of a conversion for
    faster-whisper; None for other models.
    """
    owner, _, name = model.rpartition("/")
    if not owner:
        return NAMES.get(name.removeprefix("whisper-"))
    return model if "whisper" in name and name.startswith("faster-") else None


def is_whisper(folder: Path) -> bool:
    """Whether a folder holds a Whisper model of CTranslate2, whole or not."""
    config = folder / "config.json"
    if not ((folder / "model.bin").is_file() and config.is_file()):
        return False
    return "suppress_ids" in read_config(config)


def check_files(folder: Path) -> None:
    """Raises ModelNotLoaded for a folder that lacks a file."""
    missing = [name for name in ("model.bin", "tokenizer.json") if not (folder / name).is_file()]
    if not any(folder.glob("vocabulary.*")):
        missing.append("vocabulary.txt or vocabulary.json")
    if missing:
        raise ModelNotLoaded(f"model folder {folder} holds no {' and no '.join(missing)}")


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ModelNotLoaded."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelNotLoaded(f"{path} is not JSON: {error}") from error
    return config if isinstance(config, dict) else {}


def translates(config: dict[str, Any], *, mels: int, is_multilingual: bool) -> bool:
    """Whether a model has learnt to translate: not English ones, nor those with a decoder of a few
    layers (turbo: four, distil: two), which were trained on transcripts alone.

    Layers are known by those whose attention aligns words; tiny has four as well, and 80 mel bands.
    """
    layers = 1 + max((layer for layer, _ in config.get("alignment_heads", ())), default=99)
    is_distilled = layers <= 2 or (layers <= 4 and mels == 128)
    return is_multilingual and not is_distilled


def download(model: str, hub: str, revision: str) -> Path:
    """The folder of a model from Hugging Face's hub or its cache. Raises ModelNotLoaded."""
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise ModelNotLoaded(f"model {model!r} needs the extra whisper: {EXTRA}") from error
    try:
        return Path(snapshot_download(hub, revision=revision or None, allow_patterns=list(_FILES)))
    except Exception as error:
        raise ModelNotLoaded(
            f"model {model!r} ({hub}) cannot be downloaded: {error}; ASR_MODEL may be a folder"
        ) from error

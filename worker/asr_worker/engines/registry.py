"""Imports only those modules of FunASR that a model needs.

`import funasr` imports all its models, some ten CPU seconds at each start of a worker. FunASR looks
classes up by the names under which its modules register them, and a model's `config.yaml` contains
these names: the modules that register them are found by their text and imported.

Source: `funasr.import_submodules`, `funasr.register`.
"""

from __future__ import annotations

import importlib
import json
import logging
import pkgutil
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from omegaconf import OmegaConf

from asr_worker.engines.funasr_family import HUGGING_FACE

# Architectures that look up only classes that their configuration names.
KNOWN: Final = frozenset({
    "SenseVoiceSmall", "Paraformer", "BiCifParaformer", "SeacoParaformer", "CAMPPlus",
    "FsmnVADStreaming", "CTTransformer", "Qwen3ASR", "GLMASR", "MOSS-Transcribe-Diarize",
})  # fmt: skip
# Packages whose import name differs from their distribution name.
_PACKAGES: Final = {"whisper": "openai-whisper", "sklearn": "scikit-learn", "yaml": "PyYAML"}
_REGISTERED: Final = re.compile(r"""@tables\.register\(\s*["']\w+["']\s*,\s*["']([^"']+)["']""")


def import_for(folder: Path) -> None:
    """Imports the modules that the model of a folder needs; all for an unknown architecture."""
    names = _names(folder)
    if not names & KNOWN:
        import_all()
        return
    import_bare()
    modules = _modules_by_name()
    wanted = {module for name in names for module in modules.get(name, ())}
    # Two register ParaformerSANMDecoder: in this order the one stays that stays in FunASR's.
    for module in sorted(wanted, reverse=True):
        importlib.import_module(module)


def missing_packages(folder: Path, error: BaseException) -> list[str]:
    """The packages to install for the model of a folder that could not be loaded.

    FunASR skips modules that cannot be imported and then reports an unknown class.
    """
    import_bare()
    missing = {_missing(error)}
    for name in _names(folder):
        for module in _modules_by_name().get(name, ()):
            try:
                importlib.import_module(module)
            except Exception as failure:
                missing.add(_missing(failure))
    return sorted(filter(None, missing))


def _missing(error: BaseException) -> str:
    """The package that was not found, by an error or its causes; empty for other errors."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            module = cause.name.partition(".")[0]
            return "" if module == "funasr" else _PACKAGES.get(module, module)
        cause = cause.__cause__ or cause.__context__
    return ""


def import_all() -> None:
    """Imports all modules, as `import funasr` does."""
    import_bare()
    import funasr

    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    funasr.import_submodules("funasr")
    # One of its programs sets up logging when it is imported.
    root.handlers[:] = before
    root.setLevel(level)


def import_bare() -> None:
    """Imports FunASR's package without its modules."""
    if "funasr" in sys.modules:
        return
    walk = pkgutil.walk_packages
    pkgutil.walk_packages = lambda *_args, **_options: iter(())  # what `import funasr` walks
    try:
        importlib.import_module("funasr")
    finally:
        pkgutil.walk_packages = walk


@cache
def _modules_by_name() -> Mapping[str, set[str]]:
    """Which modules register a name."""
    import funasr

    root = Path(funasr.__file__).parent
    modules: dict[str, set[str]] = defaultdict(set)
    for path in root.rglob("*.py"):
        for name in _REGISTERED.findall(path.read_text(encoding="utf-8")):
            modules[name].add(".".join(("funasr", *path.relative_to(root).with_suffix("").parts)))
    return modules


def _names(folder: Path) -> set[str]:
    """All strings of a model's configuration, which include the classes that it needs."""
    if not (folder / "config.yaml").is_file():
        described = json.loads((folder / "config.json").read_bytes())
        return {HUGGING_FACE.get(described.get("model_type"), "")}
    return set(_strings(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))))


def _strings(config: Any) -> Iterator[str]:
    if isinstance(config, str):
        yield config
    elif isinstance(config, dict):
        for value in config.values():
            yield from _strings(value)
    elif isinstance(config, list):
        for value in config:
            yield from _strings(value)

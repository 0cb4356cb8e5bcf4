"""FunASR without all of FunASR: only the modules that a model needs are imported.

`import funasr` imports every model that there is, some ten seconds of a processor, each time a
worker starts. FunASR finds classes by the names under which its modules register them, and the
`config.yaml` of a model names them all: those modules are found by their text and imported.

Source: `funasr.import_submodules`, `funasr.register`.
"""

from __future__ import annotations

import importlib
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

# Architectures that look nothing up but what their configuration names.
KNOWN: Final = frozenset({
    "SenseVoiceSmall", "Paraformer", "BiCifParaformer", "SeacoParaformer", "CAMPPlus",
    "FsmnVADStreaming", "CTTransformer",
})  # fmt: skip
# What is imported under another name than it is installed by.
_PACKAGES: Final = {"whisper": "openai-whisper", "sklearn": "scikit-learn", "yaml": "PyYAML"}
_REGISTERED: Final = re.compile(r"""@tables\.register\(\s*["']\w+["']\s*,\s*["']([^"']+)["']""")


def import_for(folder: Path) -> None:
    """Imports what the model of a folder needs; for an architecture that is not known, all."""
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
    """What would have to be installed for the model of a folder, which could not be loaded.

    FunASR passes over modules that cannot be imported, and says then that a class is unknown.
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
    """The package that an error, or what caused it, did not find; empty: another error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            module = cause.name.partition(".")[0]
            return "" if module == "funasr" else _PACKAGES.get(module, module)
        cause = cause.__cause__ or cause.__context__
    return ""


def import_all() -> None:
    """Everything, as `import funasr` does by itself."""
    import_bare()
    import funasr

    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    funasr.import_submodules("funasr")
    # One of its programs sets up logging when it is imported.
    root.handlers[:] = before
    root.setLevel(level)


def import_bare() -> None:
    """FunASR's package without its modules."""
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
    """Every word of a model's configuration, the classes that it needs among them."""
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

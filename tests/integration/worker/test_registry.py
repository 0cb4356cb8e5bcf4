"""FunASR's classes, without all of FunASR."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_worker.engines import registry
from asr_worker.engines.registry import KNOWN

_REGISTERED = """
import json, sys
{imports}
from funasr.register import tables
print(json.dumps({{
    f"{{kind}} {{name}}": found.__module__
    for kind, classes in vars(type(tables)).items() if kind.endswith("classes")
    for name, found in classes.items()
}}))
"""


def registered(imports: str, *arguments: object) -> dict[str, str]:
    """Every registered class and its module, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _REGISTERED.format(imports=imports), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    classes: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return classes


def test_a_known_model_finds_the_classes_that_it_finds_in_all_of_funasr(
    embedded_folder: Path, two_voices: Any, paraformer_folder: Callable[[Any], Path]
) -> None:
    from funasr.register import tables

    folders = [embedded_folder, two_voices.folder, paraformer_folder("SeacoParaformer")]
    everything = {
        f"{kind} {name}": found.__module__
        for kind, classes in vars(type(tables)).items()
        if kind.endswith("classes")
        for name, found in classes.items()
    }
    assert {f"model_classes {name}" for name in KNOWN} <= everything.keys()
    imports = """
from pathlib import Path
from asr_worker.engines.registry import import_for
for folder in sys.argv[1:]:
    import_for(Path(folder))
"""
    found = registered(imports, *folders)
    words = set(re.findall(r"\w+", " ".join((f / "config.yaml").read_text() for f in folders)))
    named = {key: module for key, module in found.items() if key.split()[1] in words}
    assert named.items() <= everything.items()
    assert {"model_classes SenseVoiceSmall", "model_classes CAMPPlus"} <= named.keys()
    assert {"model_classes SeacoParaformer", "predictor_classes CifPredictorV3"} <= named.keys()
    assert len(found) < len(everything) / 2


def test_for_a_model_that_is_not_known_everything_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(registry, "import_all", lambda: asked.append("all"))
    (tmp_path / "config.yaml").write_text("model: Conformer\n")
    registry.import_for(tmp_path)
    assert asked == ["all"]

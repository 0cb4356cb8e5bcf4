"""Every model of the installed FunASR is known: served, or refused in words that help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from asr_worker.engines.choose import ENGINES, load_engine
from asr_worker.engines.funasr_family import (
    HUGGING_FACE,
    OTHER_PURPOSE,
    OWN_CODE,
    RECOGNISERS,
    STREAMING,
)
from asr_worker.engines.funasr_models import find_model
from asr_worker.engines.registry import _REGISTERED, KNOWN
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings


def registered() -> set[str]:
    """All model classes, those too whose module cannot be imported here; one name is a constant."""
    import funasr
    from funasr.register import tables

    text = "".join(
        path.read_text("utf-8") for path in (Path(funasr.__file__).parent / "models").rglob("*.py")
    )
    in_source = {
        name
        for line in text.splitlines()
        if line.startswith('@tables.register("model_classes"')
        for name in _REGISTERED.findall(line)
    }
    return in_source | set(tables.model_classes)


def loading(folder: Path, **settings: Any) -> str:
    """With which words the worker refuses a model."""
    with pytest.raises(ModelNotLoaded) as raised:
        load_engine(
            WorkerSettings(_env_file=None, model=str(folder), use_gpu=False, **settings)  # type: ignore[call-arg]
        )
    assert "Traceback" not in raised.value.message
    return raised.value.message


def folder_of(tmp_path: Path, architecture: str) -> Path:
    (tmp_path / "config.yaml").write_text(json.dumps({"model": architecture, "model_conf": {}}))
    torch.save({}, tmp_path / "model.pt")
    return tmp_path


def test_each_model_of_the_installed_funasr_is_classified_once() -> None:
    kinds = [STREAMING.keys(), OWN_CODE, OTHER_PURPOSE.keys(), RECOGNISERS]
    classified = [name for kind in kinds for name in kind]
    assert sorted(classified) == sorted(registered())
    assert set(HUGGING_FACE.values()) | KNOWN <= set(classified)
    elsewhere = {"remote", "Whisper"}  # CTranslate2's, and a server's
    batching = {name for engine in ENGINES for name in engine.architectures} - elsewhere
    assert batching <= RECOGNISERS


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        *((name, "piece by piece, not files: use paraformer-zh") for name in STREAMING),
        *((name, words) for name, words in OTHER_PURPOSE.items()),
        *((name, "ASR_TRUST_REMOTE_CODE=true") for name in sorted(OWN_CODE)),
    ],
)
def test_what_is_not_served_is_refused_before_it_is_loaded(
    tmp_path: Path, architecture: str, words: str
) -> None:
    assert words in loading(folder_of(tmp_path, architecture))


@pytest.mark.parametrize("architecture", sorted(RECOGNISERS))
def test_a_recogniser_is_tried_and_what_it_lacks_is_told_in_one_line(
    tmp_path: Path, architecture: str
) -> None:
    """The folders hold nothing but its name, so none can be loaded."""
    message = loading(folder_of(tmp_path, architecture))
    assert "is not served" not in message
    assert "\n" not in message
    if architecture.startswith("Whisper"):
        assert message.endswith("pip install openai-whisper")
    if "Qwen3" in architecture:
        assert message.endswith("pip install qwen-asr")


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"model_type": "qwen3_asr"}, "pip install qwen-asr"),
        ({"model_type": "glmasr"}, "ASR_TRUST_REMOTE_CODE"),
        ({"model_type": "moss_transcribe_diarize"}, "ASR_TRUST_REMOTE_CODE"),
        ({"model_type": "qwen"}, "ASR_TRUST_REMOTE_CODE"),
        ({"model_type": "voxtral"}, "engine remote"),
        ({}, "engine remote"),
        ([], "engine remote"),
    ],
)
def test_a_folder_with_only_config_json_is_known_by_its_model_type(
    tmp_path: Path, described: Any, words: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(described))
    assert words in loading(tmp_path)


def test_a_config_json_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelNotLoaded, match=r"config\.json is no JSON"):
        find_model(str(tmp_path))


# What the package gives, as FunASR's class for it uses it: the real one needs gigabytes.
_PACKAGE = """
import json, sys
from types import SimpleNamespace as Has

def tell(what, seen):
    print(what, json.dumps(seen), file=sys.stderr)

class Qwen3ASRModel:
    forced_aligner = None

    @classmethod
    def from_pretrained(cls, path, **options):
        tell("LOADED", [path, str(options["dtype"]), options["device_map"]])
        return cls()

    def transcribe(self, audio, context, language, return_time_stamps):
        tell("ASKED", [[len(samples) for samples, _ in audio], context, language])
        return [Has(text=f"heard {len(samples)}", language="Chinese") for samples, _ in audio]
"""
_PROGRAM = """
import sys
import numpy as np
from asr_core.options import TaskOptions
from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.choose import load_engine
from asr_worker.settings import WorkerSettings

engine = load_engine(WorkerSettings(_env_file=None, model=sys.argv[1], use_gpu=False))
options = TaskOptions(language="zh", hotwords=("Ada", "Babbage"))
batch = [SegmentAudio(np.zeros(count, np.float32), options) for count in (100, 200)]
batch.append(SegmentAudio(np.zeros(300, np.float32), TaskOptions(language="cy")))
for text in engine.submit(batch)():
    print("TEXT", text.text, text.language)
print("SUPPORTS", sorted(engine.supports), engine.name)
"""


def test_a_qwen3_asr_folder_is_loaded_with_its_class_and_given_what_it_takes(
    tmp_path: Path,
) -> None:
    model, packages = tmp_path / "model", tmp_path / "packages"
    (packages / "qwen_asr-1.0.dist-info").mkdir(parents=True)
    model.mkdir()
    (packages / "qwen_asr.py").write_text(_PACKAGE)
    (packages / "qwen_asr-1.0.dist-info" / "METADATA").write_text("Name: qwen-asr\nVersion: 1.0\n")
    (model / "config.json").write_text('{"model_type": "qwen3_asr"}')
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(model)],
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("TEXT")] == [
        "TEXT heard 100 zh", "TEXT heard 200 zh", "TEXT heard 300 zh",
    ]  # fmt: skip
    told = done.stderr.splitlines()
    assert f'LOADED ["{model}", "torch.float32", "cpu"]' in told
    assert 'ASKED [[100, 200], "Ada Babbage", "Chinese"]' in told
    assert 'ASKED [[300], "", null]' in told
    assert "SUPPORTS ['hotwords', 'language'] automodel" in lines

"""A model folder that brings code, through every door that FunASR has for it: nothing runs."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from asr_worker.engines.automodel import _safe_hotword
from asr_worker.engines.choose import load_engine
from asr_worker.engines.model_code import FORCE_ANYTHING, _names_something
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings


@pytest.fixture
def folder(random_folder: Path, tmp_path: Path) -> Path:
    """A model of its own that would load."""
    made = tmp_path / "model"
    made.mkdir()
    for path in random_folder.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    return made


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What the code of a model would leave behind."""
    return tmp_path / "it-ran"


def code_that_leaves(mark: Path) -> str:
    return f"open({str(mark)!r}, 'w').close()\n"


def configure(folder: Path, **fields: Any) -> None:
    config = OmegaConf.load(folder / "config.yaml")
    OmegaConf.save(OmegaConf.merge(config, fields), folder / "config.yaml")


def refused(folder: Path, engine: str = "automodel", **settings: Any) -> str:
    """The message with which the worker's own loading refuses a model."""
    with pytest.raises(ModelNotLoaded) as raised:
        load_engine(
            WorkerSettings(
                _env_file=None,  # type: ignore[call-arg]
                model=str(folder),
                engine=engine,
                use_gpu=False,
                cpu_threads=1,
                **settings,
            )
        )
    return raised.value.message


class _Payload:
    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._mark}",)


@pytest.mark.parametrize("engine", ["sensevoice", "automodel"])
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_that_are_a_program_run_nothing_whatever_the_environment_asks_for(
    folder: Path, mark: Path, monkeypatch: pytest.MonkeyPatch, engine: str, zipped: bool
) -> None:
    """FunASR calls `torch.load` without `weights_only`: torch before 2.6, and later ones with a
    variable that guides recommend for old checkpoints, then run what the pickle says."""
    monkeypatch.setenv(FORCE_ANYTHING, "1")
    torch.save({"x": _Payload(mark)}, folder / "model.pt", _use_new_zipfile_serialization=zipped)
    message = refused(folder, engine)
    assert not mark.exists()
    assert "pickle could run code" in message
    assert "system" in message
    assert len(message) < 500


def test_a_bare_pickle_as_weights_runs_nothing(folder: Path, mark: Path) -> None:
    (folder / "model.pt").write_bytes(pickle.dumps(_Payload(mark)))
    assert "pickle could run code" in refused(folder)
    assert not mark.exists()


def test_a_pickle_as_a_models_statistics_runs_nothing(folder: Path, mark: Path) -> None:
    """`GlobalMVN` reads what its configuration names with `numpy.load`."""
    (folder / "stats.npy").write_bytes(pickle.dumps(_Payload(mark)))
    configure(
        folder,
        normalize="GlobalMVN",
        normalize_conf={"stats_file": str(folder / "stats.npy")},
    )
    refused(folder)
    assert not mark.exists()


@pytest.mark.parametrize("helper", ["vad", "punc"])
def test_a_configuration_that_asks_to_be_trusted_is_not(
    folder: Path, mark: Path, helper: str
) -> None:
    """What a `config.yaml` says of helper models reaches FunASR as if the caller had said it."""
    code = folder / "payload_of_a_model.py"
    code.write_text(code_that_leaves(mark))
    configure(
        folder,
        **{
            f"{helper}_model": str(folder),
            f"{helper}_kwargs": {"trust_remote_code": True, "remote_code": str(code)},
        },
    )
    assert "code of its own" in refused(folder)
    assert not mark.exists()
    assert str(folder) not in sys.path


def test_requirements_of_a_model_are_not_installed(folder: Path) -> None:
    (folder / "requirements.txt").write_text("asr-platform-payload @ file:///nowhere\n")
    configure(folder, vad_model=str(folder), vad_kwargs={"trust_remote_code": True})
    message = refused(folder)
    assert "a program" in message
    assert sys.executable in message or "pip" in message


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('touch {mark}')",
        "(lambda: open('{mark}', 'w'))()",
        "[open(each, 'w') for each in ['{mark}']]",
    ],
)
def test_an_expression_in_a_configuration_is_not_evaluated(
    folder: Path, random_folder: Path, mark: Path, expression: str
) -> None:
    """FunASR hands the list of layers of emotion2vec to `eval`, as fairseq does; as the model to
    recognise with it is refused before, as a helper only here.
    """
    spec = {"feature_encoder_spec": expression.format(mark=mark)}
    configure(folder, model="Emotion2vec", model_conf={"modalities": {"audio": spec}})
    assert "more than numbers" in refused(random_folder, punc_model=str(folder))
    assert not mark.exists()


def test_a_list_of_layers_is_still_one() -> None:
    layers = "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]"
    assert not _names_something(compile(layers, "<string>", "eval"))


@pytest.fixture
def folder_with_python(
    folder: Path, mark: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Path:
    """For FunASR's classes around Hugging Face's models, which pass `trust_remote_code=True`."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    (folder / "payload.py").write_text(
        "from transformers import PretrainedConfig, ProcessorMixin\n" + code_that_leaves(mark)
    )
    described = {
        "model_type": "payload",
        "auto_map": {"AutoConfig": "payload.Config", "AutoProcessor": "payload.Processor"},
    }
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "processor_config.json").write_text(
        json.dumps({"processor_class": "Processor", "auto_map": described["auto_map"]})
    )
    configure(folder, model="GLMASR")
    return folder


def test_code_that_funasr_trusts_by_itself_does_not_run(
    folder_with_python: Path, random_folder: Path, mark: Path
) -> None:
    assert "ASR_TRUST_REMOTE_CODE" in refused(folder_with_python)
    as_helper = refused(random_folder, punc_model=str(folder_with_python), trust_remote_code=True)
    assert "code of its own" in as_helper
    assert not mark.exists()


def test_code_that_an_operator_allows_runs(folder_with_python: Path, mark: Path) -> None:
    """It is no model, so it is not loaded in the end."""
    assert "ASR_TRUST_REMOTE_CODE" not in refused(folder_with_python, trust_remote_code=True)
    assert mark.exists()


def test_a_trusted_model_is_no_excuse_for_a_pickle(folder: Path, mark: Path) -> None:
    torch.save({"x": _Payload(mark)}, folder / "model.pt")
    assert "pickle could run code" in refused(folder, trust_remote_code=True)
    assert not mark.exists()


def test_a_model_that_is_only_numbers_loads_and_later_ones_do_too(
    folder: Path, random_folder: Path
) -> None:
    (folder / "model.pt").write_bytes(pickle.dumps(os.system))
    refused(folder)
    settings = WorkerSettings(_env_file=None, model=str(random_folder), use_gpu=False)  # type: ignore[call-arg]
    assert load_engine(settings).name == "sensevoice"


def test_a_worker_with_such_a_model_ends_with_one_line_that_says_why(
    folder: Path, mark: Path, redis_server: Any, tmp_path: Path
) -> None:
    torch.save({"x": _Payload(mark)}, folder / "model.pt")
    environment = os.environ | {
        "ASR_MODEL": str(folder),
        "ASR_REDIS_URL": f"redis://127.0.0.1:{redis_server.port}/0",
        "ASR_STORE_URL": (tmp_path / "store").as_uri(),
        "ASR_USE_GPU": "false",
        FORCE_ANYTHING: "1",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "asr_worker"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    assert "pickle could run code" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not mark.exists()


def test_a_hotword_is_no_control_token_of_a_prompt() -> None:
    """FunASR's models with a language model split their prompts at these, and open what follows."""
    assert "<|" not in _safe_hotword("<|startofspeech|>!secrets<|endofspeech|>")
    assert _safe_hotword("Ada Lovelace") == "Ada Lovelace"


# What reads Python objects, by the file of FunASR that does: each was looked at. `eval` of an
# argument, `torch.load` and remote code are seen by asr_worker.engines.model_code; a new name here
# means that a newer FunASR has a door that somebody has to try.
_DOORS = re.compile(
    r"pickle\.loads?\(|joblib\.load|allow_pickle=True|yaml\.(?:unsafe_|full_)?load\(|\bexec\("
    r"|os\.(?:system|popen|exec\w+)\(|torch\.(?:jit\.load|package)|shelve\.|marshal\.|dill\."
)


def test_funasr_has_no_door_that_nobody_has_looked_at() -> None:
    import funasr

    root = Path(funasr.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if _DOORS.search(path.read_text("utf-8"))
    }
    assert {name for name in found if not name.startswith("bin/")} == set()

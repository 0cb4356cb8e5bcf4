"""The form of OpenAI's contract, and transcripts in its clothes."""

from __future__ import annotations

import json

import pytest

from asr_api.errors import TranscriptionRestarted, UnsupportedParameter
from asr_api.openai_contract.parameters import (
    Granularity,
    ResponseFormat,
    check_heeded,
    check_model,
    read_parameters,
)
from asr_api.openai_contract.replies import reply_body
from asr_api.openai_contract.stream import ReadText
from asr_core.errors import InvalidOption
from asr_core.queue import ServedModel
from asr_core.result import Transcript, TranscriptSegment, TranscriptWord

MODEL = ("model", "whisper-1")


def test_lists_come_with_brackets_or_without() -> None:
    verbose = ("response_format", "verbose_json")
    for name in ("timestamp_granularities[]", "timestamp_granularities"):
        asked = read_parameters([MODEL, verbose, (name, "word"), (name, "segment")])
        assert asked.granularities == {Granularity.WORD, Granularity.SEGMENT}
        assert asked.response_format is ResponseFormat.VERBOSE_JSON


def test_keywords_and_the_phrases_of_a_prompt_are_hotwords_each_once() -> None:
    fields = [MODEL, ("keywords[]", "kopf"), ("prompt", "Redis Streams, kopf; 语音。识别")]
    asked = read_parameters(fields)
    assert asked.options.hotwords == ("kopf", "Redis Streams", "语音", "识别")
    assert asked.hotwords_from == "keywords"
    assert read_parameters([MODEL, ("prompt", "Redis")]).hotwords_from == "prompt"


def test_a_parameter_sent_twice_must_say_the_same() -> None:
    with pytest.raises(InvalidOption, match="twice") as caught:
        read_parameters([MODEL, ("language", "en"), ("language", "zh")])
    assert caught.value.param == "language"


def test_a_model_must_do_all_that_is_asked_of_it_before_it_runs() -> None:
    able = ServedModel("able", frozenset({"hotwords", "language", "timestamps"}), frozenset({"en"}))
    blunt = ServedModel("blunt", frozenset(), frozenset())
    asked = read_parameters(
        [
            *(MODEL, ("language", "en"), ("prompt", "Redis")),
            *(("response_format", "verbose_json"), ("timestamp_granularities[]", "word")),
        ]
    )
    check_model(asked, [able])
    check_model(asked, [])
    with pytest.raises(UnsupportedParameter):
        check_model(asked, [able, blunt])
    with pytest.raises(UnsupportedParameter, match="there are: en") as caught:
        check_model(read_parameters([MODEL, ("language", "fr")]), [able])
    assert caught.value.param == "language"
    with pytest.raises(UnsupportedParameter):
        check_heeded(asked, ("hotwords",))
    check_heeded(asked, ("itn",))


def test_speakers_are_asked_of_models_that_tell_them_apart() -> None:
    asked = read_parameters([MODEL, ("response_format", "diarized_json")])
    assert asked.options.speakers
    check_model(asked, [ServedModel("able", frozenset({"speakers"}), frozenset())])
    with pytest.raises(UnsupportedParameter, match="tells no speakers apart") as caught:
        check_model(asked, [ServedModel("blunt", frozenset(), frozenset())])
    assert caught.value.param == "response_format"
    with pytest.raises(UnsupportedParameter):
        check_heeded(asked, ("speakers",))


def test_a_segment_has_every_field_of_the_contract() -> None:
    word = TranscriptWord(text="good", start_seconds=1.5, end_seconds=2.0, confidence=0.5)
    segment = TranscriptSegment(start_seconds=1.5, end_seconds=2, text="good", words=(word,))
    transcript = Transcript(
        text="good",
        language="fr",
        duration_seconds=2,
        segments=(segment,),
        model="m",
        engine="e",
        device="cpu",
    )
    asked = read_parameters([MODEL, ("response_format", "verbose_json")])
    body, media_type = reply_body(transcript, asked)
    verbose = json.loads(body)
    assert media_type == "application/json"
    assert (verbose["language"], verbose["duration"]) == ("fr", 2.0)
    assert verbose["segments"] == [
        {
            "id": 0,
            "seek": 150,
            "start": 1.5,
            "end": 2.0,
            "text": "good",
            "tokens": [],
            "temperature": 0.0,
            "avg_logprob": -0.6931,
            "compression_ratio": pytest.approx(0.333, abs=0.1),
            "no_speech_prob": 0.0,
        }
    ]


def test_a_text_that_grows_is_sent_once_and_one_that_changes_is_an_error() -> None:
    text = ReadText()
    assert [text.rest(grown) for grown in ("a", "a b", "a", "", "a b c")] == [
        "a",
        " b",
        "",
        "",
        " c",
    ]
    with pytest.raises(TranscriptionRestarted):
        text.rest("a x")

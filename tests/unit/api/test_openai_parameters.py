"""The form of OpenAI's contract, and what of it models heed."""

from __future__ import annotations

import pytest

from asr_api.errors import TranscriptionRestarted, UnsupportedParameter
from asr_api.openai_contract.parameters import (
    Granularity,
    ResponseFormat,
    heed,
    heeded,
    read_parameters,
)
from asr_api.openai_contract.stream import ReadText
from asr_core.errors import InvalidOption
from asr_core.options import TaskOptions
from asr_core.queue import ServedModel

MODEL = ("model", "whisper-1")


def test_lists_come_with_brackets_or_without() -> None:
    verbose = ("response_format", "verbose_json")
    for name in ("timestamp_granularities[]", "timestamp_granularities"):
        asked = read_parameters([MODEL, verbose, (name, "word"), (name, "segment")])
        assert asked.granularities == {Granularity.WORD, Granularity.SEGMENT}
        assert asked.response_format is ResponseFormat.VERBOSE_JSON


def test_a_parameter_sent_twice_must_say_the_same() -> None:
    with pytest.raises(InvalidOption, match="twice") as caught:
        read_parameters([MODEL, ("language", "en"), ("language", "zh")])
    assert caught.value.param == "language"


def test_a_track_is_chosen_beside_the_contract() -> None:
    asked = read_parameters([MODEL, ("track", "2")], strict=True)
    assert (asked.options.track, asked.ignored) == (2, ())
    with pytest.raises(InvalidOption, match="must be a number from 1 to 100") as caught:
        read_parameters([MODEL, ("track", "0")])
    assert caught.value.param == "track"


ABLE = ServedModel("able", frozenset({"hotwords", "language", "timestamps"}), frozenset({"en"}))
BLUNT = ServedModel("blunt", frozenset(), frozenset())
WORDS = (("response_format", "verbose_json"), ("timestamp_granularities[]", "word"))
ALL = [MODEL, ("language", "en"), ("prompt", "Redis"), *WORDS]


def test_a_strict_server_refuses_before_it_runs_what_any_of_the_models_does_not_heed() -> None:
    asked = read_parameters(ALL, strict=True)
    heard = heed(asked, [ABLE], strict=True)
    assert heard.options == TaskOptions(language="en", hotwords=("Redis",))
    assert (heard.ignored, heed(asked, [], strict=True).ignored) == ((), ())
    with pytest.raises(UnsupportedParameter):
        heed(asked, [ABLE, BLUNT], strict=True)
    with pytest.raises(UnsupportedParameter, match="there are: en") as caught:
        heed(read_parameters([MODEL, ("language", "fr")]), [ABLE], strict=True)
    assert caught.value.param == "language"
    with pytest.raises(UnsupportedParameter):
        heeded(heard, ("hotwords",), strict=True)
    assert heeded(asked, ("itn",), strict=True) == asked
    diarized = read_parameters([MODEL, ("response_format", "diarized_json")])
    assert diarized.options.speakers
    with pytest.raises(UnsupportedParameter, match="tells no speakers apart") as caught:
        heed(diarized, [BLUNT], strict=True)
    assert caught.value.param == "response_format"


def test_else_the_rest_is_heeded_and_the_request_is_told_which_fields_are_not() -> None:
    asked = heed(read_parameters(ALL[:3]), [ABLE, BLUNT], strict=False)
    assert asked.options == TaskOptions()
    assert asked.ignored == ("language", "prompt")
    foreign = heed(read_parameters([MODEL, ("language", "fr")]), [ABLE], strict=False)
    assert (foreign.options.language, foreign.ignored) == ("auto", ("language",))
    diarized = [MODEL, ("response_format", "diarized_json"), ("keywords[]", "Redis")]
    asked = heed(read_parameters(diarized), [BLUNT], strict=False)
    assert asked.ignored == ("keywords", "response_format")
    late = heeded(
        heed(read_parameters(ALL[:3]), [ABLE], strict=False), ("hotwords", "itn"), strict=False
    )
    assert late.ignored == ("prompt",)


@pytest.mark.parametrize("strict", [True, False])
def test_words_of_a_model_that_has_no_times_are_refused_always(strict: bool) -> None:
    with pytest.raises(UnsupportedParameter, match="times no words") as caught:
        heed(read_parameters([MODEL, *WORDS]), [BLUNT], strict=strict)
    assert caught.value.param == "timestamp_granularities"


HARMLESS = [
    (("temperature", "0.7"), "temperature"),
    (("temperature", "1"), "temperature"),
    (("chunking_strategy", '{"type":"server_vad"}'), "chunking_strategy"),
    (("chunking_strategy[type]", "server_vad"), "chunking_strategy"),
    (("include[]", "logprobs"), "include"),
    (("languages[]", "en"), "languages"),
    (("known_speaker_names[]", "Ann"), "known_speaker_names"),
    (("vad_filter", "true"), "vad_filter"),
    (("beam_size", "5"), "beam_size"),
    (("x, y\r\nz", "1"), "x_y_z"),
]


@pytest.mark.parametrize(("field", "name"), HARMLESS)
def test_harmless_fields_are_taken_and_named(field: tuple[str, str], name: str) -> None:
    assert read_parameters([MODEL, field]).ignored == (name,)
    with pytest.raises((InvalidOption, UnsupportedParameter)):
        read_parameters([MODEL, field], strict=True)


@pytest.mark.parametrize(
    "field",
    [
        *(("temperature", "0"), ("temperature", "0.0"), ("chunking_strategy", "auto")),
        *(("vad_filter", ""), ("prompt", " "), ("language", "")),
    ],
)
def test_what_changes_nothing_is_not_named(field: tuple[str, str]) -> None:
    assert read_parameters([MODEL, field]).ignored == ()
    assert read_parameters([MODEL, field], strict=True) == read_parameters([MODEL])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("en", "en"), ("EN", "en"), ("en-US", "en"), ("english", "en"), ("English", "en")),
        *(("zh-CN", "zh"), ("zh_Hans_CN", "zh"), ("Chinese", "zh"), ("cmn", "zh"), ("eng", "en")),
        *(("yue", "yue"), ("zh-yue", "yue"), ("Cantonese", "yue"), ("auto", "auto")),
        *(("haitian creole", "ht"), ("pt-br", "pt"), (" de ", "de")),
    ],
)
def test_a_language_comes_as_a_code_with_a_region_or_as_a_name(text: str, code: str) -> None:
    asked = read_parameters([MODEL, ("language", text)])
    assert (asked.options.language, asked.ignored) == (code, ())


@pytest.mark.parametrize("value", ["klingon", "en/us", "12", "e", "en-"])
def test_what_is_no_language_is_refused_in_words(value: str) -> None:
    with pytest.raises(InvalidOption, match="such as en, en-US or english") as caught:
        read_parameters([MODEL, ("language", value)])
    assert caught.value.param == "language"


@pytest.mark.parametrize("value", ["-0.1", "1.1", "nan", "inf", "warm"])
def test_a_temperature_out_of_its_range_is_refused(value: str) -> None:
    with pytest.raises(InvalidOption, match="from 0 to 1"):
        read_parameters([MODEL, ("temperature", value)])


@pytest.mark.parametrize(
    "sent",
    [
        [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")],
        [("timestamp_granularities", "word"), ("timestamp_granularities", "segment")],
        [("timestamp_granularities", "word,segment")],
        [("timestamp_granularities[]", '["word", "segment"]')],
        [("timestamp_granularities", '["word","segment"]')],
        [("timestamp_granularities", '"word"'), ("timestamp_granularities", "Segment")],
        [("timestamp_granularities", "['word', 'segment']".strip("[]"))],
    ],
)
def test_granularities_come_in_every_form(sent: list[tuple[str, str]]) -> None:
    asked = read_parameters([MODEL, WORDS[0], *sent])
    assert asked.granularities == {Granularity.WORD, Granularity.SEGMENT}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ([WORDS[1]], "timestamp_granularities"),
        ([("stream", "true"), ("response_format", "srt")], "stream"),
        ([("language", "en"), ("language", "de")], "language"),
        ([("response_format", "docx")], "response_format"),
    ],
)
def test_what_contradicts_itself_is_refused_without_a_regular_expression(
    fields: list[tuple[str, str]], param: str
) -> None:
    with pytest.raises((InvalidOption, UnsupportedParameter)) as caught:
        read_parameters([MODEL, *fields])
    assert caught.value.param == param
    assert not set("^$\\[") & set(caught.value.message)


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

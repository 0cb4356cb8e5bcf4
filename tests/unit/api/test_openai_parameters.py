"""The form of OpenAI's contract, and transcripts in its clothes."""

from __future__ import annotations

import json

import pytest

from asr_api.errors import TranscriptionRestarted, UnsupportedParameter
from asr_api.openai_contract.model_names import named
from asr_api.openai_contract.parameters import (
    TRANSLATIONS,
    Granularity,
    ResponseFormat,
    heed,
    heeded,
    read_parameters,
)
from asr_api.openai_contract.replies import reply_body
from asr_api.openai_contract.stream import ReadText
from asr_api.settings.api import ApiSettings
from asr_core.errors import InvalidOption
from asr_core.options import TaskOptions
from asr_core.queue import ServedModel
from asr_core.result import Transcript, TranscriptSegment, TranscriptWarning, TranscriptWord

MODEL = ("model", "whisper-1")


def test_lists_come_with_brackets_or_without() -> None:
    verbose = ("response_format", "verbose_json")
    for name in ("timestamp_granularities[]", "timestamp_granularities"):
        asked = read_parameters([MODEL, verbose, (name, "word"), (name, "segment")])
        assert asked.granularities == {Granularity.WORD, Granularity.SEGMENT}
        assert asked.response_format is ResponseFormat.VERBOSE_JSON


def test_keywords_and_the_phrases_of_a_prompt_are_hotwords_each_once() -> None:
    fields = [MODEL, ("keywords[]", "kopf"), ("prompt", "Redis Streams, kopf; 语音。识别")]
    asked = heed(read_parameters(fields), [FAVOURS], strict=False)
    assert asked.options.hotwords == ("kopf", "Redis Streams", "语音", "识别")
    assert (asked.options.prompt, asked.ignored) == ("", ())
    alone = heed(read_parameters([MODEL, ("prompt", "Redis")]), [BLUNT], strict=False)
    assert (alone.options, alone.ignored) == (TaskOptions(), ("prompt",))


def test_a_prompt_is_read_as_it_is_by_a_model_that_reads_prompts() -> None:
    """So is that of a model that nobody knows yet: OpenAI's read it."""
    text = "Redis Streams, kopf; 语音。识别"
    fields = [MODEL, ("keywords[]", "kopf"), ("prompt", text)]
    for served in ([READS], []):
        asked = heed(read_parameters(fields), served, strict=True)
        assert (asked.options.prompt, asked.options.hotwords) == (text, ("kopf",))
        assert asked.ignored == ()
    while_changing = heed(read_parameters(fields[:2]), [READS, FAVOURS], strict=False)
    assert while_changing.options.hotwords == ("kopf",)
    late = heeded(asked, ("prompt",), strict=False)
    assert late.ignored == ("prompt",)


def test_of_a_long_prompt_the_end_is_read_and_the_field_is_named() -> None:
    fields = [MODEL, ("prompt", "first " + "word " * 300 + "last")]
    asked = heed(read_parameters(fields), [READS], strict=False)
    assert (len(asked.options.prompt), asked.ignored) == (1024, ("prompt",))
    assert asked.options.prompt.endswith("word last")
    with pytest.raises(InvalidOption, match="may have 1024") as caught:
        heed(read_parameters(fields), [READS], strict=True)
    assert caught.value.param == "prompt"
    with pytest.raises(InvalidOption, match="may have 16384"):
        read_parameters([MODEL, ("prompt", "x" * 16_385)])


def test_a_model_that_only_reads_prompts_favours_no_keywords() -> None:
    only = ServedModel("only", frozenset({"prompt"}), frozenset())
    fields = [MODEL, ("keywords[]", "kopf"), ("prompt", "Redis")]
    asked = heed(read_parameters(fields), [only], strict=False)
    assert (asked.options, asked.ignored) == (TaskOptions(prompt="Redis"), ("keywords",))
    with pytest.raises(UnsupportedParameter, match="favours no words") as caught:
        heed(read_parameters(fields), [only], strict=True)
    assert caught.value.param == "keywords"


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
FAVOURS = ServedModel("favours", frozenset({"hotwords"}), frozenset())
READS = ServedModel("reads", frozenset({"hotwords", "prompt", "task"}), frozenset())
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


def test_more_phrases_than_a_task_may_have_are_cut_and_named() -> None:
    prompt = ("prompt", ", ".join(f"word{i}" for i in range(150)))
    asked = heed(read_parameters([MODEL, prompt]), [FAVOURS], strict=False)
    assert (len(asked.options.hotwords), asked.ignored) == (100, ("prompt",))
    with pytest.raises(InvalidOption, match="150 phrases, and may have 100"):
        heed(read_parameters([MODEL, prompt]), [FAVOURS], strict=True)


FAST = ServedModel("iic/SenseVoiceSmall", frozenset(), frozenset())
LARGE = ServedModel("/models/paraformer-large-zh", frozenset(), frozenset())


@pytest.mark.parametrize(
    ("model", "pool"),
    [
        *(("default", "default"), ("large", "large"), ("whisper-1", "default")),
        *(("iic/SenseVoiceSmall", "default"), ("FunAudioLLM/SenseVoiceSmall", "default")),
        *(("sensevoice", "default"), ("SenseVoiceSmall", "default")),
        *(("paraformer", "large"), ("paraformer-zh", "large"), ("funasr/paraformer-zh", "large")),
        *(("paraformer-large-zh", "large"), ("fun-asr-nano", "default")),
    ],
)
def test_names_that_clients_hard_code_mean_the_model_that_serves(model: str, pool: str) -> None:
    chosen = named(model, {"default": [FAST], "large": [LARGE]}, TaskOptions())
    assert chosen is not None
    assert chosen.pool == pool


def test_a_name_that_nobody_knows_means_nothing() -> None:
    for model in ("whisper-9", "large-v3", "whispering-base", "distil-9", "tts-1", ""):
        assert named(model, {"default": [FAST]}, TaskOptions()) is None
    alone = named("paraformer-zh", {"default": []}, TaskOptions())
    assert alone is not None
    assert alone.pool == "default"


BASE = ServedModel("/models/whisper-base", frozenset({"task", "prompt"}), frozenset())
TURBO = ServedModel("Systran/faster-whisper-large-v3-turbo", frozenset(), frozenset())


@pytest.mark.parametrize(
    "model",
    [
        *("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize"),
        *("gpt-4o-mini-transcribe-2025-12-15", "gpt-transcribe", "whisper", "Whisper-Large-v3"),
        *("whisper-large-v3", "whisper-large-v3-turbo", "distil-whisper-large-v3-en"),
        *("openai/whisper-large-v3", "Systran/faster-whisper-small.en", "whisper-turbo"),
        *("Systran/faster-distil-whisper-large-v3", "distil-whisper/distil-large-v3.5-ct2"),
        *("deepdml/faster-whisper-large-v3-turbo-ct2", "openai/whisper-tiny", "whisper-large"),
    ],
)
def test_names_that_openais_groqs_and_speaches_clients_send_are_known(model: str) -> None:
    """Some programs have no field for it."""
    chosen = named(model, {"default": [FAST]}, TaskOptions())
    assert chosen is not None
    assert (chosen.pool, chosen.served) == ("default", [FAST])


@pytest.mark.parametrize(
    ("model", "pool"),
    [
        *(("openai/whisper-large-v3-turbo", "turbo"), ("large-v3-turbo", "turbo")),
        *(("whisper-turbo", "turbo"), ("deepdml/faster-whisper-large-v3-turbo-ct2", "turbo")),
        *(("whisper-base", "base"), ("base", "base"), ("Systran/faster-whisper-base", "base")),
        *(("whisper-large-v3", "base"), ("distil-whisper/distil-large-v3", "base")),
        *(("whisper-1", "default"), ("gpt-4o-transcribe", "default"), ("large-v3", None)),
    ],
)
def test_a_whisper_is_the_one_that_was_named_else_any_that_is_served(
    model: str, pool: str | None
) -> None:
    pools = {"default": [FAST], "base": [BASE], "turbo": [TURBO]}
    chosen = named(model, pools, TaskOptions())
    assert (chosen and chosen.pool) == pool


def test_a_hard_coded_name_means_for_a_translation_a_pool_that_translates() -> None:
    """OpenAI's endpoint knows `whisper-1` alone: it says nothing about which pool is meant."""
    translation = TaskOptions(task="translate")

    def pool(**pools: list[ServedModel]) -> str | None:
        chosen = named("whisper-1", pools, translation)
        return chosen.pool if chosen else None

    assert pool(default=[FAST], turbo=[TURBO], base=[BASE]) == "base"
    assert pool(default=[BASE], other=[BASE]) == "default"
    assert pool(default=[FAST], unknown=[], base=[BASE]) == "base"
    assert pool(default=[FAST], unknown=[]) == "unknown"
    assert pool(default=[], base=[BASE]) == "default"
    assert pool(default=[FAST]) == "default"
    assert pool(default=[FAST, BASE], base=[BASE]) == "base", "any of a pool may get the task"


def test_the_form_of_a_translation() -> None:
    form = [MODEL, ("prompt", "Redis."), ("response_format", "vtt"), ("temperature", "0")]
    asked = heed(read_parameters(form, TRANSLATIONS, strict=True), [READS], strict=True)
    assert asked.options == TaskOptions(task="translate", prompt="Redis.")
    assert asked.translates
    # Some clients name with it the language to translate to.
    more = [MODEL, ("language", "en"), ("timestamp_granularities[]", "word"), ("track", "2")]
    asked = read_parameters(more, TRANSLATIONS)
    assert asked.ignored == ("language", "timestamp_granularities")
    assert asked.options == TaskOptions(task="translate", track=2)
    with pytest.raises(InvalidOption):
        read_parameters(more, TRANSLATIONS, strict=True)


@pytest.mark.parametrize(
    ("field", "param"),
    [
        (("stream", "true"), "stream"),
        (("response_format", "diarized_json"), "response_format"),
        (("response_format", "docx"), "response_format"),
        (("temperature", "2"), "temperature"),
    ],
)
def test_what_a_translation_cannot_be_is_refused(field: tuple[str, str], param: str) -> None:
    with pytest.raises((InvalidOption, UnsupportedParameter)) as caught:
        read_parameters([MODEL, field], TRANSLATIONS)
    assert caught.value.param == param
    assert read_parameters([MODEL, ("stream", "false")], TRANSLATIONS).stream is False


def test_aliases_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_OPENAI_ALIASES", "whisper-large-v3, base = large")
    settings = ApiSettings(_env_file=None)
    assert settings.model_aliases == {"whisper-large-v3": "default", "base": "large"}


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


def test_whispers_own_measures_and_the_language_of_a_translation_are_told() -> None:
    segment = TranscriptSegment(
        start_seconds=0, end_seconds=2, text="good", language="fr", avg_logprob=-0.25,
        no_speech_prob=0.125, compression_ratio=0.75, temperature=0.2,
    )  # fmt: skip
    transcript = Transcript(
        text="good", language="fr", duration_seconds=2, segments=(segment,), model="m",
        engine="whisper", device="cpu",
    )  # fmt: skip
    form = [MODEL, ("response_format", "verbose_json")]
    heard = json.loads(reply_body(transcript, read_parameters(form))[0])
    assert (heard["task"], heard["language"]) == ("transcribe", "fr")
    names = ("avg_logprob", "no_speech_prob", "compression_ratio", "temperature")
    assert [heard["segments"][0][name] for name in names] == [-0.25, 0.125, 0.75, 0.2]
    translated = json.loads(reply_body(transcript, read_parameters(form, TRANSLATIONS))[0])
    assert (translated["task"], translated["language"]) == ("translate", "english")
    assert translated["segments"] == heard["segments"]


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


@pytest.mark.parametrize("form", ["json", "verbose_json", "diarized_json", "text", "srt", "vtt"])
def test_a_warning_stays_out_of_replies_whose_contract_has_none(form: str) -> None:
    whole = Transcript(
        text="good",
        language="en",
        duration_seconds=2,
        segments=(TranscriptSegment(start_seconds=0, end_seconds=2, text="good"),),
        model="m",
        engine="e",
        device="cpu",
    )
    lost = TranscriptWarning(code="cut_off", message="The file ends too early.", start_seconds=2)
    damaged = whole.model_copy(update={"warnings": (lost,)})
    asked = read_parameters([MODEL, ("response_format", form)])
    assert reply_body(damaged, asked) == reply_body(whole, asked)

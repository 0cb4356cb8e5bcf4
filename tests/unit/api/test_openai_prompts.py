"""Prompts, as text to read or as phrases to favour, and the form of a translation."""

from __future__ import annotations

import pytest

from asr_api.errors import UnsupportedParameter
from asr_api.openai_contract.parameters import TRANSLATIONS, heed, heeded, read_parameters
from asr_core.errors import InvalidOption
from asr_core.options import TaskOptions
from asr_core.queue import ServedModel

MODEL = ("model", "whisper-1")


BLUNT = ServedModel("blunt", frozenset(), frozenset())
FAVOURS = ServedModel("favours", frozenset({"hotwords"}), frozenset())
READS = ServedModel("reads", frozenset({"hotwords", "prompt", "task"}), frozenset())


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


def test_more_phrases_than_a_task_may_have_are_cut_and_named() -> None:
    prompt = ("prompt", ", ".join(f"word{i}" for i in range(150)))
    asked = heed(read_parameters([MODEL, prompt]), [FAVOURS], strict=False)
    assert (len(asked.options.hotwords), asked.ignored) == (100, ("prompt",))
    with pytest.raises(InvalidOption, match="150 phrases, and may have 100"):
        heed(read_parameters([MODEL, prompt]), [FAVOURS], strict=True)


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

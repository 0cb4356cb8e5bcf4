import html
import json
import re
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import iter_graphemes, wcswidth, wcwidth

from asr_core.render import (
    CUE_MS,
    ResultFormat,
    cues,
    render,
    to_json,
    to_srt,
    to_text,
    to_vtt,
)
from asr_core.result import Transcript, TranscriptSegment, TranscriptWord

CUE = re.compile(
    r"(\d\d+):([0-5]\d):([0-5]\d)[.,](\d{3}) --> (\d\d+):([0-5]\d):([0-5]\d)[.,](\d{3})"
)
SENTENCE = (
    "the quick brown fox jumps over the lazy dog, and then it turns around to do it again; "
    "nobody in the whole village has ever seen anything that is quite like it."
)

CUE_COLUMNS = 2 * 42  # what players show at once: two lines of 42 columns


def transcript(*segments: TranscriptSegment, text: str | None = None) -> Transcript:
    return Transcript(
        text=" ".join(one.text for one in segments) if text is None else text,
        language="en",
        duration_seconds=max((one.end_seconds for one in segments), default=0.0),
        segments=segments,
        model="m",
        engine="e",
        device="cpu",
    )


def segment(start: float, end: float, text: str, **more: object) -> TranscriptSegment:
    return TranscriptSegment(start_seconds=start, end_seconds=end, text=text, **more)


def spoken(start: float, end: float, text: str, **more: object) -> TranscriptSegment:
    """A segment with words spread evenly over it, as an engine with word times gives it."""
    words = re.findall(r"\w+", text)
    step = (end - start) / max(1, len(words))
    return segment(
        start,
        end,
        text,
        words=tuple(
            TranscriptWord(
                text=word, start_seconds=start + at * step, end_seconds=start + (at + 1) * step
            )
            for at, word in enumerate(words)
        ),
        **more,
    )


def parse(subtitles: str) -> list[tuple[int, int, list[str]]]:
    """Read SRT or VTT back: (start_ms, end_ms, lines)."""
    blocks = [one.split("\n") for one in subtitles.removesuffix("\n\n").split("\n\n") if one]
    if blocks and blocks[0] == ["WEBVTT"]:
        blocks = blocks[1:]
    else:
        assert [one.pop(0) for one in blocks] == [str(at + 1) for at in range(len(blocks))]
    found = []
    for timing, *lines in blocks:
        match = CUE.fullmatch(timing)
        assert match, timing
        h1, m1, s1, f1, h2, m2, s2, f2 = map(int, match.groups())
        start_ms = ((h1 * 60 + m1) * 60 + s1) * 1000 + f1
        found.append((start_ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + f2, lines))
    return found


def words_of(lines: list[str]) -> list[str]:
    return " ".join(lines).split()


seconds = st.one_of(
    st.floats(-1, 40_000, allow_nan=False), st.sampled_from([0.0, 59.9995, 3599.9996, 359_999.9999])
)
texts = st.text(st.characters(codec="utf-8"), max_size=200) | st.sampled_from(
    ["", " ", "a --> b", "<b>&amp;</b>", "今天天气很好。" * 20, "x" * 300, "one\n\ntwo", SENTENCE]
)
segments = st.builds(
    lambda start, length, text, channel, with_words: (spoken if with_words else segment)(
        start, start + length, text, channel=channel
    ),
    seconds,
    st.floats(-1, 60),
    texts,
    st.sampled_from([None, 0, 1]),
    st.booleans(),
)
transcripts = st.lists(segments, max_size=8).map(lambda found: transcript(*found))


@given(transcripts)
def test_subtitles_are_read_back_with_cues_that_neither_overlap_nor_run_backwards(
    given_transcript: Transcript,
) -> None:
    wanted = [(cue.start_ms, cue.end_ms) for cue in cues(given_transcript)]
    for written in (to_srt(given_transcript), to_vtt(given_transcript)):
        found = parse(written)
        assert [(start, end) for start, end, _ in found] == wanted
        assert all(start < end for start, end, _ in found)
        assert all(before[1] <= after[0] for before, after in pairwise(found))
        assert all(lines and all(one.strip() for one in lines) for _, _, lines in found)


@given(st.lists(texts, max_size=5), st.booleans())
def test_no_word_is_lost_or_moved_in_subtitles(found: list[str], with_words: bool) -> None:
    make = spoken if with_words else segment
    whole = transcript(*(make(at * 10, at * 10 + 9, text) for at, text in enumerate(found)))
    vtt = "".join("".join(words_of(lines)) for _, _, lines in parse(to_vtt(whole)))
    assert visible(html.unescape(vtt)) == visible("".join(found))


def visible(text: str) -> str:
    return "".join(
        one for one in text if wcwidth(one) > 0 and not one.isspace() and one not in "\u00ad\u2800"
    )


@given(transcripts)
def test_nothing_in_a_cue_can_be_taken_for_markup(given_transcript: Transcript) -> None:
    for _, _, lines in parse(to_vtt(given_transcript)):
        for one in lines:
            inner = re.sub(r"^<v Channel \d>(.*)</v>$", r"\1", one)
            assert not re.search(r"-->|[<>]|&(?!amp;|lt;|gt;)", inner)
    for _, _, lines in parse(to_srt(given_transcript)):
        assert not any("-->" in one for one in lines)


@given(transcripts)
def test_json_gives_the_transcript_back(given_transcript: Transcript) -> None:
    assert Transcript.model_validate_json(to_json(given_transcript)) == given_transcript


@pytest.mark.parametrize(
    ("at_seconds", "stamp"),
    [
        (59.9994, "00:00:59,999"),
        (59.9996, "00:01:00,000"),
        (3599.9999, "01:00:00,000"),
        (0.0004, "00:00:00,000"),
        (36_000.25, "10:00:00,250"),
        (360_000.0, "100:00:00,000"),
        (-0.2, "00:00:00,000"),
    ],
)
def test_a_timestamp_rounds_to_milliseconds_and_carries(at_seconds: float, stamp: str) -> None:
    written = to_srt(transcript(segment(at_seconds, at_seconds + 1, "hi")))
    assert written.split("\n")[1].startswith(f"{stamp} --> ")


def test_srt_looks_as_players_expect() -> None:
    whole = transcript(segment(0, 1.5, "Hello."), segment(1.5, 3, "A --> B"))
    assert to_srt(whole) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello.\n\n2\n00:00:01,500 --> 00:00:03,000\nA -> B\n\n"
    )


def test_vtt_escapes_its_markup() -> None:
    whole = transcript(segment(0, 1, "R&D --> <b>"))
    assert to_vtt(whole) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nR&amp;D --&gt; &lt;b&gt;\n\n"
    )


def test_a_channel_is_a_prefix_in_srt_and_a_voice_in_vtt() -> None:
    whole = transcript(segment(0, 1, "Hi.", channel=0), segment(1, 2, "Hello.", channel=1))
    assert "\n[channel 0] Hi.\n" in to_srt(whole)
    assert "\n<v Channel 1>Hello.</v>\n" in to_vtt(whole)


def test_speakers_are_named_beside_channels_or_alone() -> None:
    both = segment(0, 1, "Hi.", channel=0).model_copy(update={"speaker": "A"})
    alone = segment(1, 2, "Hello.").model_copy(update={"speaker": "B"})
    whole = transcript(both, alone)
    assert to_text(whole) == "[channel 0, speaker A] Hi.\n[speaker B] Hello.\n"
    assert "<v Channel 0, speaker A>Hi.</v>" in to_vtt(whole)
    assert "<v Speaker B>Hello.</v>" in to_vtt(whole)
    assert "\n[speaker B] Hello.\n" in to_srt(whole)


def test_channels_that_begin_together_share_a_cue() -> None:
    whole = transcript(segment(0, 3, "Hi.", channel=0), segment(0.1, 2, "Hello.", channel=1))
    [cue] = cues(whole)
    assert (cue.start_ms, cue.end_ms) == (0, 3000)
    assert [(one.text, one.voice) for one in cue.lines] == [
        ("Hi.", "channel 0"),
        ("Hello.", "channel 1"),
    ]


def test_a_cue_ends_where_the_next_one_begins() -> None:
    found = cues(transcript(segment(0, 5, "One."), segment(2, 6, "Two.")))
    assert [(one.start_ms, one.end_ms) for one in found] == [(0, 2000), (2000, 6000)]


def test_a_long_segment_is_cut_between_words_at_the_words_own_times() -> None:
    found = cues(transcript(spoken(10, 22, SENTENCE)))
    assert len(found) >= 2
    assert all(len(one.lines[0].text) <= CUE_COLUMNS for one in found)
    assert all(one.end_ms - one.start_ms <= CUE_MS for one in found)
    assert " ".join(one.lines[0].text for one in found) == SENTENCE
    count = len(re.findall(r"\w+", found[0].lines[0].text))
    step_ms = 12_000 / len(re.findall(r"\w+", SENTENCE))
    assert found[1].start_ms == round(10_000 + count * step_ms)


def test_a_cue_rather_ends_after_a_comma_than_before_the_last_word_that_fits() -> None:
    text = "it began to rain in the late afternoon of that day, and so nobody could go home " * 2
    found = [one.lines[0].text for one in cues(transcript(spoken(0, 13, text)))]
    assert found[0] == "it began to rain in the late afternoon of that day,"


def test_a_short_text_that_is_spoken_slowly_is_cut_by_time() -> None:
    found = cues(transcript(spoken(0, 20, "one two three four")))
    assert [one.lines[0].text for one in found] == ["one", "two", "three", "four"]


def test_a_segment_without_word_times_is_cut_in_proportion() -> None:
    found = cues(transcript(segment(0, 12, SENTENCE)))
    assert all(len(one.lines[0].text) <= CUE_COLUMNS for one in found)
    assert " ".join(one.lines[0].text for one in found) == SENTENCE
    assert (found[0].start_ms, found[-1].end_ms) == (0, 12_000)


def test_words_that_do_not_match_the_text_are_not_trusted() -> None:
    odd = TranscriptWord(text="absent", start_seconds=90, end_seconds=99)
    found = cues(transcript(segment(0, 12, SENTENCE, words=(odd,))))
    assert " ".join(one.lines[0].text for one in found) == SENTENCE
    assert found[-1].end_ms == 12_000


def test_text_without_spaces_is_cut_by_its_width_on_the_screen() -> None:
    chinese = "今天天气很好我们去公园" * 10
    for make in (segment, spoken):
        found = cues(transcript(make(0, 30, chinese)))
        assert all(len(one.lines[0].text) <= CUE_COLUMNS // 2 for one in found)
        assert "".join(one.lines[0].text for one in found) == chinese


def rows_of(written: str) -> list[list[str]]:
    return [lines for _, _, lines in parse(written)]


@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=100) | texts, max_size=4),
    st.booleans(),
    st.sampled_from([None, 0]),
)
@settings(deadline=None)
def test_a_cue_has_at_most_two_lines_of_42_columns_and_none_is_blank(
    found: list[str], with_words: bool, channel: int | None
) -> None:
    make = spoken if with_words else segment
    whole = transcript(
        *(make(at * 100, at * 100 + 99, text, channel=channel) for at, text in enumerate(found))
    )
    for rows in rows_of(to_srt(whole)):
        assert 1 <= len(rows) <= 2
        assert all(0 < wcswidth(row) <= 42 and row.strip("\u2800 ") for row in rows)


def test_two_lines_of_a_cue_are_of_equal_width_as_far_as_can_be() -> None:
    text = "the quick brown fox jumps over the lazy dog"
    assert rows_of(to_vtt(transcript(segment(0, 3, text)))) == [
        ["the quick brown fox", "jumps over the lazy dog"]
    ]
    named = transcript(segment(0, 3, text, channel=0))
    assert rows_of(to_srt(named)) == [
        ["[channel 0] the quick brown", "fox jumps over the lazy dog"]
    ]
    assert rows_of(to_vtt(named)) == [
        ["<v Channel 0>the quick brown</v>", "<v Channel 0>fox jumps over the lazy dog</v>"]
    ]


def test_chinese_has_21_characters_in_a_line_and_none_begins_with_a_closing_mark() -> None:
    text = "今天天气很好，我们去公园散步吧。" * 6
    for make in (segment, spoken):
        rows = list(chain(*rows_of(to_srt(transcript(make(0, 30, text))))))
        assert "".join(rows) == text
        assert all(len(row) <= 21 for row in rows)
        assert not any(row[0] in "，。" for row in rows)
        assert len(rows) < 12


FAMILY = "👨\u200d👩\u200d👧"


@pytest.mark.parametrize(
    "text",
    [
        FAMILY * 60,
        "🇩🇪🇫🇷🇹🇭" * 30,
        "ที่นี่มีน้ำและผู้คนที่ยิ้มแย้มอยู่เสมอ" * 8,
        "e\u0301" * 200,
        "क्षत्रियों" * 30,
    ],
    ids=["emoji", "flags", "thai", "accents", "hindi"],
)
def test_no_cut_splits_what_a_reader_takes_for_one_character(text: str) -> None:
    whole = list(iter_graphemes(text))
    by_character = segment(
        0,
        30,
        text,
        words=tuple(
            TranscriptWord(text=one, start_seconds=at / 50, end_seconds=(at + 1) / 50)
            for at, one in enumerate(text)
        ),
    )
    for one in (segment(0, 30, text), by_character):
        rows = list(chain(*rows_of(to_srt(transcript(one)))))
        assert len(rows) > 2
        assert [each for row in rows for each in iter_graphemes(row)] == whole


@pytest.mark.parametrize("text", ["\u200b", "\ufeff \u2060", "\u3164", "\u2800", "\x9b", "\u00ad"])
def test_what_shows_nothing_has_no_cue(text: str) -> None:
    said = segment(2, 4, f"Hi {text}.")
    [cue] = cues(transcript(segment(0, 2, text), said))
    assert (cue.start_ms, cue.end_ms) == (2000, 4000)
    assert visible(cue.lines[0].text) == "Hi."


def test_text_is_the_whole_in_one_paragraph() -> None:
    whole = transcript(segment(0, 1, "One."), segment(1, 2, "Two."), text="One. Two.")
    assert to_text(whole) == "One. Two.\n"


def test_text_of_channels_has_a_line_for_each_turn() -> None:
    whole = transcript(
        segment(0, 1, "Hi.", channel=0),
        segment(3, 4, "Fine.", channel=0),
        segment(1, 2, "Hello.", channel=1),
        segment(2, 3, "How are\nyou?", channel=1),
    )
    assert to_text(whole) == "[channel 0] Hi.\n[channel 1] Hello. How are you?\n[channel 0] Fine.\n"


def test_silence_renders_as_nothing() -> None:
    silence = transcript()
    assert (to_text(silence), to_srt(silence), to_vtt(silence)) == ("", "", "WEBVTT\n\n")


@pytest.mark.parametrize("form", ResultFormat)
def test_every_format_renders_and_names_its_media_type(form: ResultFormat) -> None:
    whole = transcript(segment(0, 1, "Grüße, 世界"))
    assert "Grüße, 世界" in render(whole, form)
    assert re.fullmatch(r"\w+/[\w-]+(; charset=utf-8)?", form.media_type)
    if form is ResultFormat.JSON:
        assert json.loads(render(whole, form))["segments"][0]["text"] == "Grüße, 世界"

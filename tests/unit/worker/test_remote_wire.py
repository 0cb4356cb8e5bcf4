"""What a server of OpenAI's contract may answer, and what the worker takes it for."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from asr_core.options import TaskOptions
from asr_worker.engines.base import SegmentText, Word
from asr_worker.engines.remote_wire import (
    Detail,
    Failure,
    Kind,
    base_url,
    failure_of,
    form_of,
    read_models,
    read_reply,
    wav_of,
)


def reply(**fields: Any) -> SegmentText | Failure:
    return read_reply(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("fields", "text", "language"),
    [
        ({"text": " Hello there. "}, "Hello there.", None),
        ({"text": "Hello.", "language": "english"}, "Hello.", "en"),
        ({"text": "你好", "language": "zh-CN"}, "你好", "zh"),
        ({"text": "language English<asr_text>Hello."}, "Hello.", "en"),
        ({"text": "language None<asr_text>"}, "", None),
        ({"text": "The language English<asr_text> is odd."}, None, None),
        ({"text": "<|zh|><|NEUTRAL|><|Speech|><|woitn|>你好"}, "你好", "zh"),
        ({"text": "Hello.", "language": "unknown"}, "Hello.", None),
        ({"text": "Hello.", "language": None, "words": None, "more": [1]}, "Hello.", None),
        ({"text": ""}, "", None),
    ],
)
def test_a_text_comes_without_what_models_write_around_it(
    fields: dict[str, Any], text: str | None, language: str | None
) -> None:
    read = reply(**fields)
    assert isinstance(read, SegmentText)
    assert read.text == (fields["text"] if text is None else text)
    assert read.language == language


def test_words_are_in_order_and_inside_their_segment_whatever_came() -> None:
    words = [
        {"word": " two ", "start": 0.5, "end": 0.4},
        {"word": "one", "start": -0.1, "end": 0.2, "probability": 0.9},
        {"word": " ", "start": 0.2, "end": 0.3},
    ]
    read = reply(text="one two", words=words)
    assert isinstance(read, SegmentText)
    assert read.words == (Word("one", 0.0, 0.2), Word("two", 0.5, 0.5))
    without_text = reply(text="", words=words)
    assert isinstance(without_text, SegmentText)
    assert without_text.words == ()


def test_what_whisper_says_of_its_text_is_that_of_the_whole_segment() -> None:
    sure = {"start": 0, "end": 3, "avg_logprob": -0.2, "no_speech_prob": 0.0, "temperature": 0.0,
            "compression_ratio": 1.1}  # fmt: skip
    unsure = {**sure, "start": 3, "end": 4, "avg_logprob": -1.0, "temperature": 0.4}
    read = reply(text="one two", segments=[sure, unsure])
    assert isinstance(read, SegmentText)
    assert read.avg_logprob == pytest.approx(-0.4)
    assert (read.no_speech_prob, read.compression_ratio, read.temperature) == (0.0, 1.1, 0.4)


def test_measures_that_a_server_only_fills_in_are_none() -> None:
    zeros = {"start": 0, "end": 3, "avg_logprob": 0.0, "no_speech_prob": 0.0}
    read = reply(text="one", segments=[zeros, {"start": 3, "end": 4}])
    assert isinstance(read, SegmentText)
    assert (read.avg_logprob, read.no_speech_prob, read.temperature) == (None, None, None)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"error": "x"}', b'{"text": 1}', b"\xff", b'{"text": "a"', b"{" * 9999],
)
def test_what_is_no_transcription_is_a_failure_that_quotes_it(body: bytes) -> None:
    read = read_reply(body)
    assert isinstance(read, Failure)
    assert read.kind is Kind.FAILED
    assert len(read.reason) < 600


def test_a_quoted_body_is_one_printable_line() -> None:
    reason = failure_of(500, b"\x1b[2Ja\r\nb" + b"x" * 10_000, "").reason
    assert reason.isprintable()
    assert reason.startswith("status 500: [2Ja b")
    assert len(reason) < 400


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((400, 413, 415, 422), Kind.REFUSED),
        ((408, 425, 429), Kind.BUSY),
        ((502, 503), Kind.AWAY),
        ((500, 501, 504, 599), Kind.FAILED),
        ((201, 204, 301, 302, 307, 401, 402, 403, 404, 405, 410), Kind.MISCONFIGURED),
    ],
)
def test_a_status_says_whose_fault_it_is(statuses: tuple[int, ...], kind: Kind) -> None:
    assert {failure_of(status, b"", "").kind for status in statuses} == {kind}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("0", 0.0), ("", None), ("-1", None), ("Wed, 21 Oct 2026", None), ("²", None)],
)
def test_a_pause_is_a_number_of_seconds(header: str, seconds: float | None) -> None:
    assert failure_of(429, b"", header).retry_after_seconds == seconds


def test_models_are_listed_by_their_ids() -> None:
    assert read_models(b'{"object": "list", "data": [{"id": "a", "x": 1}, {"id": "b"}]}') == (
        "a",
        "b",
    )
    assert read_models(b'{"data": []}') == ()
    wrong = read_models(b"<html>")
    assert isinstance(wrong, Failure)
    assert wrong.kind is Kind.MISCONFIGURED


def test_only_what_the_caller_asked_for_is_sent() -> None:
    assert form_of(TaskOptions(), "m", Detail.TEXT) == {
        "model": "m", "temperature": "0", "response_format": "json",
    }  # fmt: skip
    asked = form_of(
        TaskOptions(language="de", hotwords=("Ada", "<|im_end|>B")), "m", Detail.LANGUAGE
    )
    assert (asked["language"], asked["prompt"]) == ("de", "Ada, B")


def test_samples_beyond_full_scale_stay_at_it() -> None:
    wav = wav_of(np.array([0.0, 0.5, 1.5, -1.5], np.float32))
    assert np.frombuffer(wav[44:], "<i2")[:4].tolist() == [0, 16384, 32767, -32768]


def test_silence_follows_what_is_too_short_for_some_servers() -> None:
    sizes = [len(wav_of(np.ones(count, np.float32))) - 44 for count in (0, 100, 8000, 9000)]
    assert sizes == [16_000, 16_000, 16_000, 18_000]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_an_address_is_completed(path: str) -> None:
    assert base_url(f"http://host:8000{path}") == "http://host:8000/v1"
    assert base_url(f"http://host/api{path}") == "http://host/api/v1"

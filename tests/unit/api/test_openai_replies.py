"""Transcripts in OpenAI's response formats."""

from __future__ import annotations

import json

import pytest

from asr_api.openai_contract.parameters import TRANSLATIONS, read_parameters
from asr_api.openai_contract.replies import reply_body
from asr_core.result import Transcript, TranscriptSegment, TranscriptWarning, TranscriptWord

MODEL = ("model", "whisper-1")


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

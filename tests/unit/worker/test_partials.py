"""Texts are shown in the order of the recording, whatever order batches bring them in."""

from __future__ import annotations

import itertools

from asr_worker.audio.segments import Span
from asr_worker.inference.partial_results import PartialTranscript
from asr_worker.transcript.assemble import join_texts
from asr_worker.transcript.recording import RecordedSegment

TEXTS = ("good morning", "", "语音", "识别", "again")
SEGMENTS = tuple(RecordedSegment(0, Span(place * 10, place * 10 + 10)) for place in range(5))


def test_every_order_gives_the_text_of_the_result_and_never_a_later_part_first() -> None:
    whole = join_texts([text for text in TEXTS if text])
    for order in itertools.permutations(range(5)):
        transcript = PartialTranscript(SEGMENTS)
        for done, place in enumerate(order, start=1):
            transcript.add(SEGMENTS[place], TEXTS[place])
            assert whole.startswith("".join(transcript.texts))
            if 0 not in order[:done]:
                assert transcript.texts == []
        assert "".join(transcript.texts) == whole


def test_what_was_shown_is_not_pending_any_more() -> None:
    transcript = PartialTranscript(SEGMENTS)
    transcript.add(SEGMENTS[0], "one")
    transcript.published = len(transcript.texts)
    transcript.add(SEGMENTS[1], "two")
    assert transcript.pending == [" two"]

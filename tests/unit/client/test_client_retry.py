from __future__ import annotations

import pytest

from asr_platform.retry import BACKOFF_MOST_SECONDS, RETRY_AFTER_MOST_SECONDS, retry_delay


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422, 500])
def test_an_answer_that_would_be_the_same_again_is_not_asked_for_again(status: int) -> None:
    assert retry_delay(1, status) is None


@pytest.mark.parametrize("status", [429, 503, 507, None])
def test_a_busy_or_absent_server_is_asked_again_with_growing_pauses(status: int | None) -> None:
    delays = [retry_delay(attempt, status) for attempt in (1, 2, 3, 4)]
    assert delays == [1.0, 2.0, 4.0, 8.0]


def test_pauses_stop_growing() -> None:
    assert retry_delay(10_000, 503) == BACKOFF_MOST_SECONDS


def test_retry_after_is_obeyed() -> None:
    assert retry_delay(1, 429, "17") == 17.0


def test_a_retry_after_of_days_is_cut() -> None:
    assert retry_delay(1, 503, "999999") == RETRY_AFTER_MOST_SECONDS


def test_a_retry_after_that_is_a_date_falls_back_to_the_backoff() -> None:
    assert retry_delay(2, 503, "Wed, 21 Oct 2026 07:28:00 GMT") == 2.0

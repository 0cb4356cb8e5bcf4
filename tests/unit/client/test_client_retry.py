from __future__ import annotations

import ssl

import httpx
import pytest

from asr_platform.retry import delay_after, retry_delay


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422, 500])
def test_an_answer_that_would_be_the_same_again_is_not_asked_for_again(status: int) -> None:
    assert retry_delay(1, status) is None


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507, None])
def test_a_busy_or_absent_server_is_asked_again_with_growing_pauses(status: int | None) -> None:
    delays = [retry_delay(attempt, status) for attempt in (1, 2, 3, 4)]
    assert delays == [1.0, 2.0, 4.0, 8.0]


def test_pauses_stop_growing() -> None:
    assert [retry_delay(attempt, 503) for attempt in (5, 6, 7, 10_000)] == [16.0, 30.0, 30.0, 30.0]


def test_retry_after_is_obeyed() -> None:
    assert retry_delay(1, 429, "17") == 17.0
    assert retry_delay(1, 429, " 0 ") == 0.0
    assert retry_delay(1, 400, "17") is None


def test_a_retry_after_of_days_is_cut() -> None:
    """Two minutes: so long somebody waits for a command to go on."""
    assert retry_delay(1, 503, "119") == 119.0
    assert retry_delay(1, 503, "999999") == 120.0


def test_a_retry_after_that_is_a_date_falls_back_to_the_backoff() -> None:
    assert retry_delay(2, 503, "Wed, 21 Oct 2026 07:28:00 GMT") == 2.0


def reply(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_a_reply_is_asked_for_again_unless_the_server_says_that_it_is_of_no_use() -> None:
    assert delay_after(2, reply(503)) == 2.0
    assert delay_after(2, reply(503, retry_after="7")) == 7.0
    assert delay_after(2, reply(503, x_should_retry="false", retry_after="7")) is None
    assert delay_after(2, reply(503, x_should_retry="true")) == 2.0
    assert delay_after(2, reply(503, x_should_retry="a-word-of-theirs")) == 2.0
    assert delay_after(1, reply(404)) is None


def caused(error: Exception, cause: Exception, *, explicit: bool) -> Exception:
    try:
        if explicit:
            raise error from cause
        try:
            raise cause
        except Exception:
            raise error  # noqa: B904 - the context is what is tried
    except Exception as raised:
        return raised


@pytest.mark.parametrize("explicit", [True, False])
def test_no_answer_is_waited_for_but_not_where_the_next_try_would_end_the_same(
    explicit: bool,
) -> None:
    assert delay_after(3, httpx.ConnectError("refused")) == 4.0
    assert delay_after(1, httpx.UnsupportedProtocol("ftp")) is None
    wrong = caused(
        httpx.ConnectError("TLS"), ssl.SSLCertVerificationError("not its name"), explicit=explicit
    )
    assert isinstance(wrong, httpx.RequestError)
    assert delay_after(1, wrong) is None
    passing = caused(httpx.ConnectError("TLS"), ssl.SSLError("eof"), explicit=explicit)
    assert isinstance(passing, httpx.RequestError)
    assert delay_after(1, passing) == 1.0

"""Why a request did not bring what was asked for."""

from __future__ import annotations

import pytest

from asr_cli.load.problem import Kind, Problem


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (400, True), (404, True), (407, True), (409, True), (428, True), (430, True), (499, True),
        (408, False), (429, False), (399, False), (500, False), (503, False), (None, False),
    ],
)  # fmt: skip
def test_a_refusal_is_an_answer_that_would_be_the_same_again(
    status: int | None, refused: bool
) -> None:
    assert Problem("submit", "http", status).refused is refused


@pytest.mark.parametrize(
    ("kind", "status", "lost"),
    [
        ("timeout", None, True), ("broken", None, True), ("malformed", 200, True),
        ("connect", None, False), ("http", 502, True), ("http", 504, True), ("http", 503, False),
        ("http", 501, False), ("http", 505, False),
    ],
)  # fmt: skip
def test_a_lost_reply_may_have_done_its_work(kind: Kind, status: int | None, lost: bool) -> None:
    assert Problem("submit", kind, status).reply_lost is lost


@pytest.mark.parametrize(
    ("status", "code", "gone"),
    [
        (404, "task_not_found", True), (410, "result_gone", True), (404, "", False),
        (500, "task_not_found", False), (403, "result_gone", False), (411, "result_gone", False),
    ],
)  # fmt: skip
def test_a_task_is_gone_if_the_api_says_so_and_no_proxy(status: int, code: str, gone: bool) -> None:
    assert Problem("result", "http", status, code).task_gone is gone


def test_a_client_waits_as_long_as_it_is_told_else_a_second() -> None:
    full = Problem("submit", "http", 429, "queue_full")
    assert full.pause_seconds("7") == 7.0
    assert full.pause_seconds(None) == 1.0
    assert Problem("submit", "http", 400).pause_seconds("7") == 1.0


def test_it_is_told_in_a_few_words() -> None:
    assert str(Problem("submit", "http", 429, "queue_full")) == "submit: HTTP 429 queue_full"
    assert str(Problem("result", "http", 502)) == "result: HTTP 502"
    assert str(Problem("delete", "connect")) == "delete: connect"

"""Every error of the tree has its place on the wire."""

import json

import pytest

from asr_api import errors as _http_errors  # noqa: F401  they hang themselves into the tree
from asr_api.http.error_reply import (
    OPENAI_BAD_REQUESTS,
    openai_reply_to,
    reply_to,
    validation_reply,
)
from asr_core.errors import (
    AsrError,
    DependencyError,
    PermanentTaskError,
    QueueFull,
    QuotaExceeded,
    RangeNotSatisfiable,
    RequestError,
    TooManyOpenTasks,
)


def tree(root: type[AsrError]) -> list[type[AsrError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]


SPEAKING = [kind for kind in tree(AsrError) if kind.__init__ is AsrError.__init__]


@pytest.mark.parametrize("kind", SPEAKING)
def test_every_error_becomes_the_same_body_with_its_own_code(kind):
    reply = reply_to(kind("what was wrong", param="lane"))
    error = json.loads(reply.body)["error"]
    assert reply.status_code == kind.status
    assert (error["message"], error["param"], error["code"]) == (
        "what was wrong",
        "lane",
        kind.code,
    )
    assert error["type"]


@pytest.mark.parametrize("kind", tree(RequestError) + tree(PermanentTaskError))
def test_the_callers_mistakes_are_never_a_5xx(kind):
    assert 400 <= kind.status < 500


@pytest.mark.parametrize("kind", [*tree(DependencyError), QueueFull, TooManyOpenTasks])
def test_what_may_pass_says_when_to_try_again(kind):
    assert int(reply_to(kind("away")).headers["retry-after"]) >= 1


@pytest.mark.parametrize("kind", SPEAKING)
def test_a_time_that_the_raise_names_goes_before_that_of_its_kind(kind):
    assert reply_to(kind("away", retry_after_seconds=42)).headers["retry-after"] == "42"


def test_what_waiting_does_not_mend_names_no_time():
    assert "retry-after" not in reply_to(QuotaExceeded("full")).headers


def test_a_range_outside_of_the_file_is_told_the_file_s_size():
    refusal = reply_to(RangeNotSatisfiable("too far", size=4096))
    assert (refusal.status_code, refusal.headers["content-range"]) == (416, "bytes */4096")


@pytest.mark.parametrize("kind", SPEAKING)
def test_openai_s_contract_has_400_for_what_the_caller_sent_wrong(kind):
    native, openai = reply_to(kind("x", param="audio")), openai_reply_to(kind("x", param="audio"))
    assert openai.status_code == (400 if kind in OPENAI_BAD_REQUESTS else native.status_code)
    assert json.loads(openai.body)["error"]["param"] == "file"


def test_codes_are_not_shared_between_errors_of_different_status():
    statuses: dict[str, set[int]] = {}
    for kind in tree(AsrError):
        statuses.setdefault(kind.code, set()).add(kind.status)
    assert [code for code, found in statuses.items() if len(found) > 1] == []


def test_a_validation_error_names_its_first_parameter_and_tells_all():
    reply = validation_reply(
        [
            {"loc": ("query", "limit"), "msg": "too large"},
            {"loc": ("query", "state"), "msg": "unknown"},
        ]
    )
    error = json.loads(reply.body)["error"]
    assert error["param"] == "limit"
    assert error["message"] == "limit: too large; state: unknown"

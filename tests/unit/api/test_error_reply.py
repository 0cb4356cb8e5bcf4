"""Every error of the tree has its place on the wire."""

import json

import pytest

from asr_api import errors as _http_errors  # noqa: F401  they hang themselves into the tree
from asr_api.http.error_reply import reply_to, validation_reply
from asr_core.errors import AsrError, DependencyError, PermanentTaskError, QueueFull, RequestError


def tree(root: type[AsrError]) -> list[type[AsrError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]


SPEAKING = [
    kind
    for kind in tree(AsrError)
    if kind.__init__ in (AsrError.__init__, DependencyError.__init__)
]


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


@pytest.mark.parametrize("kind", [*tree(DependencyError), QueueFull])
def test_what_may_pass_says_when_to_try_again(kind):
    assert int(reply_to(kind("away")).headers["retry-after"]) >= 1
    assert reply_to(kind("away", retry_after_seconds=42)).headers["retry-after"] == "42"


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

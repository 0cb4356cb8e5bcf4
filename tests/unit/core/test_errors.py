"""What errors promise to whoever reads them."""

from __future__ import annotations

import pytest

from asr_core import errors
from asr_core.errors import AsrError, ClusterUnavailable, DependencyError

# Statuses and codes are public: clients decide by them whether to send a request again.
STATUSES = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "insufficient_scope",
    404: "key_not_found task_not_found",
    409: "idempotency_conflict state_conflict",
    410: "audio_gone",
    413: "upload_too_large",
    415: "unsupported_audio",
    416: "range_not_satisfiable",
    422: "invalid_option permanent_failure unreadable_audio empty_audio audio_too_long",
    429: "queue_full rate_limit_exceeded too_many_open_tasks insufficient_quota",
    500: "internal_error transient_failure decoder_crashed engine_failed",
    503: "dependency_unavailable queue_unavailable redis_evicts schema_mismatch store_unavailable "
    "cluster_unavailable",
    507: "store_full",
}


def all_of(base: type[AsrError]) -> set[type[AsrError]]:
    found = {each for each in vars(errors).values() if isinstance(each, type)}
    return {each for each in found if issubclass(each, base)}


def test_every_code_has_the_status_that_is_promised() -> None:
    statuses = {each.code: each.status for each in all_of(AsrError)}
    for status, codes in STATUSES.items():
        for code in codes.split():
            assert statuses.get(code) == status, code


@pytest.mark.parametrize("kind", sorted(all_of(DependencyError), key=lambda each: each.__name__))
def test_what_waits_for_a_dependency_is_asked_again_in_five_seconds(
    kind: type[DependencyError],
) -> None:
    assert kind("away").retry_after_seconds == 5


@pytest.mark.parametrize(
    ("status", "refusal"), [(401, True), (403, True), (404, False), (500, False), (0, False)]
)
def test_a_cluster_refuses_who_has_no_right_and_else_is_away(status: int, refusal: bool) -> None:
    assert ClusterUnavailable("x", reply_status=status).is_refusal is refusal
    assert not ClusterUnavailable("x").is_refusal

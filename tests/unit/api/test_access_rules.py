"""Which scope a route asks for."""

import pytest

from asr_api.access.rules import scope_for
from asr_core.access import Scope


@pytest.mark.parametrize("route", ["/healthz", "/metrics", "/docs", "/", "/assets/{name}"])
def test_what_holds_nothing_of_a_tenants_is_for_everybody(route):
    assert scope_for("GET", route) is None


@pytest.mark.parametrize(
    "route", ["/api/v1/asr/submit", "/v1/audio/transcriptions", "/v1/audio/translations"]
)
def test_a_recording_is_sent_with_the_scope_to_transcribe(route):
    assert scope_for("POST", route) is Scope.TRANSCRIBE


@pytest.mark.parametrize("route", ["/api/v1/asr/result/{task_id}", "/a/route/nobody/thought/of"])
def test_other_routes_ask_to_read_or_to_write_by_their_method(route):
    asked = {method: scope_for(method, route) for method in ("GET", "HEAD", "POST", "DELETE")}
    assert asked == {
        "GET": Scope.READ, "HEAD": Scope.READ, "POST": Scope.WRITE, "DELETE": Scope.WRITE,
    }  # fmt: skip

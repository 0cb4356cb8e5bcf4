"""One body for every error, and a request id on every reply."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.asyncio


async def test_a_path_that_does_not_exist_has_the_same_body_as_every_error(client):
    reply = await client.get("/api/v1/nothing")
    assert reply.status_code == 404
    assert reply.json() == {
        "error": {
            "message": "There is nothing at /api/v1/nothing.",
            "type": "invalid_request_error",
            "param": None,
            "code": "not_found",
        }
    }


async def test_a_method_that_is_not_allowed_is_405_with_allow(client):
    reply = await client.put("/api/v1/asr/submit")
    assert reply.status_code == 405
    assert reply.json()["error"]["code"] == "method_not_allowed"
    assert reply.headers["allow"] == "POST"


async def test_an_error_nobody_foresaw_is_500_and_tells_nothing(client, platform):
    async def explode(**_: object) -> None:
        raise RuntimeError("the password is hunter2")

    platform.app.state.services.producer.history_ids = explode
    reply = await client.get("/api/v1/asr/history", headers={"x-request-id": "my-id"})
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "internal_error"
    assert "hunter2" not in reply.text
    assert reply.headers["x-request-id"] == "my-id"


async def test_a_sane_request_id_is_kept(client):
    reply = await client.get("/healthz", headers={"x-request-id": "trace-1.2_3"})
    assert reply.headers["x-request-id"] == "trace-1.2_3"


@pytest.mark.parametrize("given", ["two words", "x" * 200, "", "<script>"])
async def test_an_odd_request_id_is_replaced(client, given):
    reply = await client.get("/healthz", headers={"x-request-id": given})
    assert reply.headers["x-request-id"] not in ("", given)


async def test_the_docs_need_no_other_host(client):
    page = (await client.get("/docs")).text
    assert "https://" not in page
    for path in ("/docs/static/swagger-ui-bundle.js", "/docs/static/swagger-ui.css"):
        assert path in page
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "ASR platform"

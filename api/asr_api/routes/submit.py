"""`POST /api/v1/asr/submit`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.requests import ClientDisconnect

from asr_api.dependencies import IntakeOf, RootOf, TenantOf
from asr_api.http.error_examples import SUBMIT_ERRORS, documented_errors
from asr_api.schemas.tasks import Accepted
from asr_api.submission.accept_audio import Caller, accept, submit_form
from asr_api.submission.accept_url import UrlSubmit, accept_url, is_json
from asr_api.submission.options import check_idempotency_key
from asr_api.submission.schema import form_schema
from asr_core.text_limits import IDEMPOTENCY_KEY

router = APIRouter(tags=["tasks"])

_REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": form_schema(),
            "examples": {
                "meeting": {
                    "value": {
                        "audio": "(meeting.wav)",
                        "lane": "batch",
                        "language": "en",
                        "itn": "true",
                    }
                }
            },
        },
        "application/json": {
            "schema": UrlSubmit.model_json_schema(),
            "examples": {
                "talk": {"value": {"url": "https://example.com/talks/monday.mp3", "lane": "batch"}}
            },
        },
    },
}


@router.post(
    "/api/v1/asr/submit",
    status_code=202,
    response_model=Accepted,
    operation_id="submit",
    summary="Submit a recording, or the URL of one",
    responses=documented_errors(*SUBMIT_ERRORS),
    openapi_extra={"requestBody": _REQUEST_BODY},
)
async def submit(
    request: Request,
    response: Response,
    intake: IntakeOf,
    tenant: TenantOf,
    root: RootOf,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="the same key and body give the same task for 24 h",
            examples=["order-17"],
            json_schema_extra={"maxLength": IDEMPOTENCY_KEY.characters},
        ),
    ] = None,
) -> Accepted | Response:
    """Take a recording in. 202 is said once the audio is durably stored and the task is durably
    queued.

    With a JSON body that names a `url`, 202 is said once the task is recorded, in state
    `fetching`; the recording is then fetched, and the task is queued or fails.
    """
    caller = Caller(tenant, check_idempotency_key(idempotency_key))
    try:
        if is_json(request):
            submission = await accept_url(request, intake, caller)
        else:
            submission = await accept(request, intake, caller, submit_form(intake))
    except ClientDisconnect:
        return Response(status_code=499)
    if not submission.created:
        response.headers["Idempotency-Replayed"] = "true"
    accepted = Accepted.of(submission, root)
    response.headers["Location"] = accepted.links.result
    return accepted

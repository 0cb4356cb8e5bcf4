"""`POST /api/v1/asr/submit`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.requests import ClientDisconnect

from asr_api.http.error_examples import SUBMIT_ERRORS, documented_errors
from asr_api.schemas.tasks import Accepted
from asr_api.services import RootOf, ServicesOf, TenantOf
from asr_api.submission.accept_audio import Caller, accept, submit_form
from asr_api.submission.accept_url import UrlSubmit, accept_url, is_json
from asr_api.submission.options import check_idempotency_key
from asr_core.task import TRACK_MAX
from asr_core.text_limits import (
    HOTWORD,
    HOTWORDS_MAX,
    HOTWORDS_MAX_BYTES,
    IDEMPOTENCY_KEY,
    LANGUAGE,
    POOL,
    URL,
)

router = APIRouter(tags=["tasks"])

_FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["audio"],
    "additionalProperties": False,
    "properties": {
        "audio": {
            "type": "string",
            "format": "binary",
            "description": "the recording; `file` is read as well",
        },
        "pool": POOL.schema(default="default", description="which workers: one pool per model"),
        "lane": {"type": "string", "enum": ["interactive", "normal", "batch"], "default": "normal"},
        "language": LANGUAGE.schema(
            default="auto",
            description="`auto`, a code or a name in English: `en`, `en-US`, `english`",
        ),
        "itn": {
            "type": "boolean",
            "default": False,
            "description": "digits and punctuation in the text",
        },
        "hotwords": {
            "type": "string",
            "maxLength": HOTWORDS_MAX_BYTES,
            "description": "words to favour, separated by commas; may be repeated; at most "
            f"{HOTWORDS_MAX} of them and {HOTWORDS_MAX_BYTES} bytes together, each of "
            f"{HOTWORD.words}",
        },
        "speakers": {
            "type": "boolean",
            "default": False,
            "description": "tell apart who speaks; where the pool's workers have no speaker model "
            "the reply names it in `options_ignored`",
        },
        "channels": {"type": "string", "enum": ["mix", "split"], "default": "mix"},
        "track": {
            "type": "integer",
            "minimum": 1,
            "maximum": TRACK_MAX,
            "description": "which of several audio tracks, from 1; by default the one flagged as "
            "default, else the first that can be decoded",
        },
        "webhook": URL.schema(
            description="a URL that is told when the task has ended, in the format of "
            "standardwebhooks.com"
        ),
    },
}
_REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": _FORM_SCHEMA,
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
    services: ServicesOf,
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
            submission = await accept_url(request, services, caller)
        else:
            submission = await accept(request, services, caller, submit_form(services))
    except ClientDisconnect:
        return Response(status_code=499)
    if not submission.created:
        response.headers["Idempotency-Replayed"] = "true"
    accepted = Accepted.of(submission, root)
    response.headers["Location"] = accepted.links.result
    return accepted

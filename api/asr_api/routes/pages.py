"""`GET /` and `GET /dashboard`: the pages for people, and the files they are made of."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from asr_api.dependencies import RootOf
from asr_api.http.error_examples import documented_errors
from asr_api.pages.files import HEADERS, PageFile, assets, page

router = APIRouter(tags=["pages"])

_RESPONSES: dict[int | str, dict[str, Any]] = {
    304: {"description": "`If-None-Match` names it"},
    **documented_errors(),
}


@router.get(
    "/",
    operation_id="transcribe_page",
    summary="Page: transcribe recordings",
    response_class=HTMLResponse,
    responses=_RESPONSES,
)
async def transcribe_page(request: Request, root: RootOf) -> Response:
    """Drop files or record; read, play and download the transcripts."""
    return _reply(request, page("index.html", root))


@router.get(
    "/dashboard",
    operation_id="dashboard_page",
    summary="Page: dashboard",
    response_class=HTMLResponse,
    responses=_RESPONSES,
)
async def dashboard_page(request: Request, root: RootOf) -> Response:
    """Queue, workers, latencies and errors, live and for up to 24 hours."""
    return _reply(request, page("dashboard.html", root))


@router.get("/assets/{name}", include_in_schema=False)
async def asset(request: Request, name: str) -> Response:
    """A script, style or picture of the pages."""
    found = assets().get(name)
    if found is None:
        raise HTTPException(404)
    return _reply(request, found)


def _reply(request: Request, file: PageFile) -> Response:
    """The browser asks again each time, and an unchanged file is not sent again."""
    headers = {**HEADERS, "ETag": file.etag}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or file.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)

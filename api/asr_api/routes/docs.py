"""`GET /docs`: the API's document to read and to try, with files of this server only."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from importlib.resources import files

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse

from asr_api.dependencies import RootOf
from asr_api.pages.files import HEADERS, content_security_policy

router = APIRouter()
STATIC = "/docs/static"
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@router.get("/docs", include_in_schema=False)
async def docs(root: RootOf) -> HTMLResponse:
    """Swagger UI on `/openapi.json`."""
    page, policy = _page(root)
    return HTMLResponse(page, headers={**HEADERS, "Content-Security-Policy": policy})


def mount_files(app: FastAPI) -> None:
    """Swagger UI's own files, as `fastapi_offline` brings them along."""
    app.mount(STATIC, StaticFiles(directory=str(files("fastapi_offline") / "static")))


@lru_cache(maxsize=32)
def _page(root: str) -> tuple[bytes, str]:
    """And its policy: only the one inline script may run, by its hash. Swagger UI's style sheet
    contains images.
    """
    made = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="ASR platform",
        swagger_js_url=f"{root}{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{root}{STATIC}/favicon.png",
    )
    page = bytes(made.body)
    hashes = (hashlib.sha256(each).digest() for each in _INLINE_SCRIPT.findall(page))
    scripts = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes)
    return page, content_security_policy(script=scripts, image="data:")

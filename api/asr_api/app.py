"""The app: routes, middlewares and a lifespan around the services. No import builds anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from asr_api.access.ended_keys import EndsWithKey
from asr_api.access.keyless import KeylessGuard, KnownHosts
from asr_api.dependencies import authenticate
from asr_api.http.behind_proxy import BehindProxy
from asr_api.http.cors import CorsPolicy
from asr_api.http.early_reply import EarlyReply
from asr_api.http.error_reply import register_error_replies
from asr_api.http.head import HeadAsGet
from asr_api.http.request_context import RequestContext
from asr_api.openai_contract import routes as openai_routes
from asr_api.openapi import document_with
from asr_api.routes import (
    audio,
    docs,
    events,
    health,
    history,
    pages,
    pod,
    queue_status,
    result,
    retry,
    stats,
    submit,
    task,
    usage,
)
from asr_api.services import build_services
from asr_api.settings.api import ApiSettings
from asr_core import __version__
from asr_core.process.logs import configure_logging
from asr_core.process.setting_names import warn_of_unknown_settings

ROUTERS = (
    submit.router,
    result.router,
    events.router,
    history.router,
    audio.router,
    retry.router,
    task.router,
    queue_status.router,
    stats.router,
    usage.router,
    health.router,
    pod.router,
    pages.router,
    docs.router,
    openai_routes.router,
)
_DESCRIPTION = """\
Submit a recording, follow it, fetch the transcript.

Every error has the same body; its `code` is stable. Every reply carries `x-request-id`.
A 429, 503 or 507 says in `Retry-After` when to try again; with an `Idempotency-Key` a repeated
submit is always safe.
"""
_TAGS = [
    {"name": "tasks", "description": "Recordings and their transcripts"},
    {"name": "openai", "description": "For OpenAI's own clients, unmodified"},
    {"name": "queue", "description": "Queue, workers and statistics"},
    {"name": "operations", "description": "For operators of the platform"},
    {"name": "pages", "description": "Web pages"},
]


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """The ASGI app; without `settings` it reads the environment and sets up logging, as a `main`
    does.

    Building it touches neither Redis nor the store nor the disk; its lifespan does. `/docs` needs
    no other host.
    """
    if settings is None:
        settings = ApiSettings()
        configure_logging(settings, "api")
        warn_of_unknown_settings()
    services = build_services(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await services.stop()

    app = FastAPI(
        docs_url=None, redoc_url=None, lifespan=lifespan,
        title="ASR platform", version=__version__, description=_DESCRIPTION, openapi_tags=_TAGS,
        license_info={"name": "MIT"}, dependencies=[Depends(authenticate)],
    )  # fmt: skip
    app.state.services = services
    for router in ROUTERS:
        app.include_router(router)
    docs.mount_files(app)
    register_error_replies(app)
    app.openapi = document_with(app, settings)  # type: ignore[method-assign]
    cors = CorsPolicy(settings.cors_origins)
    if settings.auth == "keys":
        app.add_middleware(EndsWithKey)
    else:
        hosts = KnownHosts((*settings.allowed_hosts, settings.api_host.lower()))
        app.add_middleware(KeylessGuard, hosts=hosts, cors=cors)
    app.add_middleware(EarlyReply)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestContext, metrics=services.metrics, cors=cors)
    app.add_middleware(BehindProxy, root_path=settings.root_path, trusted=settings.trusted_proxies)
    return app

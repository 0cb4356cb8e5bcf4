"""The API server: uvicorn with bounded connections and a raised file descriptor limit."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from asr_api.app import create_app
from asr_api.http.connection import REFUSED_AT_ONCE, BoundedConnection, ConnectionLimits
from asr_api.http.cors import CorsPolicy
from asr_api.http.file_limits import UPLOADS_SHARE, files_allowed, raise_file_limit
from asr_api.settings.api import ApiSettings
from asr_core.process.listening import bound_sockets

FILES_RESERVED = 128 + REFUSED_AT_ONCE  # Redis, the probes, logs, the store


def serve(settings: ApiSettings, *, host: str, port: int, grace_seconds: int) -> None:
    """Serve until SIGTERM; requests in flight then get `grace_seconds`."""
    raise_file_limit()
    settings = settings.model_copy(update={"api_host": host})
    config = server_config(
        create_app(settings), settings, host=host, port=port, grace_seconds=grace_seconds
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run(bound_sockets(host, port))
    if not server.started:
        sys.exit(1)


def server_config(
    app: FastAPI, settings: ApiSettings, *, host: str, port: int, grace_seconds: int
) -> uvicorn.Config:
    """uvicorn's configuration. A share of the file descriptors is reserved for upload files."""
    files = files_allowed()
    limits = ConnectionLimits(
        connections=max(1, files - files // UPLOADS_SHARE - FILES_RESERVED),
        header_seconds=settings.upload_idle_seconds,
        unread_seconds=2 * settings.upload_idle_seconds,
    )
    cors = CorsPolicy(settings.cors_origins)
    protocol: Any = partial(BoundedConnection, limits=limits, cors=cors)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=cast("type[BoundedConnection]", protocol),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `BehindProxy` handles them, and needs the peer's own address
        timeout_graceful_shutdown=grace_seconds,
    )

"""`asr api` and `asr worker`: one program each, as a pod runs it."""

from __future__ import annotations

from typing import Annotated

import typer

from asr_cli.console import fail

API_EXAMPLES = """
Examples:

- `asr api`
- `REDIS_HOST=redis ASR_STORE_URL=s3://bucket/asr asr api --host :: --port 8000`
"""
WORKER_EXAMPLES = """
Examples:

- `asr worker`
- `REDIS_HOST=redis ASR_STORE_URL=s3://bucket/asr ASR_MODEL=iic/SenseVoiceSmall asr worker`
- `WORKER_COUNT=4 asr worker`
"""


def api(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; `::` is every IPv4 and IPv6 address.  "
            "[default: ASR_API_HOST or 127.0.0.1]"
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port.  [default: ASR_API_PORT or 8000]")
    ] = None,
    grace: Annotated[
        int, typer.Option(min=0, help="Seconds that open requests get after SIGTERM.")
    ] = 25,
) -> None:
    """Run only the HTTP API; settings name Redis and the store."""
    import asyncio

    from asr_api.server import serve
    from asr_api.settings.api import ApiSettings
    from asr_cli.local.ports import port_is_free
    from asr_core.process.logs import configure_logging
    from asr_core.process.setting_names import warn_of_unknown_settings
    from asr_core.queue import require_permissions

    settings = ApiSettings()
    host = host or settings.api_host
    port = settings.api_port if port is None else port
    if port and not port_is_free(host, port):
        fail(f"port {port} on {host} is in use: stop what listens there, or choose another --port")
    configure_logging(settings, "api")
    warn_of_unknown_settings()
    asyncio.run(require_permissions(settings))
    serve(settings, host=host, port=port, grace_seconds=grace)


def worker() -> None:
    """Run only the worker; settings name Redis, the store and the model."""
    from asr_worker.process.main import leave, main

    leave(main())

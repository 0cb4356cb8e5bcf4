"""`/healthz`, `/readyz` and `/metrics`: this pod only, for Kubernetes and Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, PlainTextResponse

from asr_api.background.housekeeping import Housekeeping
from asr_api.dependencies import HealthChecksOf, HousekeepingOf, MetricsOf, QueueGaugesOf, SpoolOf
from asr_api.routes.metrics_text import exposition
from asr_api.uploads.spool import Spool

router = APIRouter(include_in_schema=True, tags=["operations"])


@router.get(
    "/healthz",
    operation_id="healthz",
    summary="This process answers",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "ok"}}}},
)
async def healthz() -> PlainTextResponse:
    """Touches nothing: a dependency that is away must not restart the pods."""
    return PlainTextResponse("ok")


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="This pod is ready for requests",
    responses={
        200: {"content": {"application/json": {"example": {"ready": True, "reasons": []}}}},
        503: {
            "description": "This pod itself cannot serve",
            "content": {
                "application/json": {
                    "example": {"ready": False, "reasons": ["the upload folder …"]}
                }
            },
        },
    },
)
async def readyz(spool: SpoolOf, housekeeping: HousekeepingOf) -> JSONResponse:
    """Redis and the store do not count: without them every pod would leave the Service."""
    reasons = _reasons(spool, housekeeping)
    return JSONResponse(
        {"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200
    )


def _reasons(spool: Spool, housekeeping: Housekeeping) -> list[str]:
    reasons = []
    if not spool.writable:
        reasons.append("the upload folder cannot be written")
    if housekeeping.schema_mismatch:
        reasons.append(housekeeping.schema_mismatch)
    return reasons


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Metrics in Prometheus's text format",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "asr_http_requests_total{…} 1.0\n"}}}},
)
async def metrics(
    metrics: MetricsOf, queue_gauges: QueueGaugesOf, checks: HealthChecksOf
) -> Response:
    """The queue's gauges are read now; they are left out, not zero, while Redis is away."""
    return Response(
        await exposition(metrics, queue_gauges, checks),
        headers={"Content-Type": CONTENT_TYPE_LATEST},
    )

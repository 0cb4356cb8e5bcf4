"""The scope that each route requires. Pure. A route that is not listed requires a key."""

from __future__ import annotations

from asr_core.access import Scope

# No tenant data. `/metrics` is cluster-internal: the ingress does not route it.
PUBLIC = frozenset(
    {
        *("/healthz", "/readyz", "/metrics", "/api/v1/health", "/health"),
        *("/", "/dashboard", "/assets/{name}", "/docs"),
    }
)
# Public routes that show more to the scope `admin`: counts, names, reasons.
OPERATORS_SEE_MORE = frozenset({"/api/v1/health", "/health"})
_TRANSCRIBE = frozenset(
    {"/api/v1/asr/submit", "/v1/audio/transcriptions", "/v1/audio/translations"}
)


def scope_for(method: str, route: str) -> Scope | None:
    """The scope for a route's template, such as `/api/v1/asr/result/{task_id}`; None: public."""
    if route in PUBLIC:
        return None
    if route in _TRANSCRIBE:
        return Scope.TRANSCRIBE
    return Scope.READ if method in ("GET", "HEAD") else Scope.WRITE

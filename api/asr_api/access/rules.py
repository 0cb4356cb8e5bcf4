"""Which scope a route asks for: pure. A route that nobody thought of asks for a key."""

from __future__ import annotations

from asr_core.access import Scope

# They hold nothing of a tenant's. `/metrics` is for the cluster's inside: no ingress leads there.
PUBLIC = frozenset(
    {
        *("/healthz", "/readyz", "/metrics", "/api/v1/health", "/health"),
        *("/", "/dashboard", "/assets/{name}", "/docs"),
    }
)
# Of these, the scope `admin` is told more: counts, names, reasons.
OPERATORS_SEE_MORE = frozenset({"/api/v1/health", "/health"})
_TRANSCRIBE = frozenset({"/api/v1/asr/submit", "/v1/audio/transcriptions"})


def scope_for(method: str, route: str) -> Scope | None:
    """The scope for a route's template, such as `/api/v1/asr/result/{task_id}`; None: everybody."""
    if route in PUBLIC:
        return None
    if route in _TRANSCRIBE:
        return Scope.TRANSCRIBE
    return Scope.READ if method in ("GET", "HEAD") else Scope.WRITE

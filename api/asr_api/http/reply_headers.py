"""Security headers of every reply, errors included; routes may override them.

No MIME sniffing, no framing, and no active content in a reply opened in a tab: OWASP's REST
security cheat sheet.
"""

from __future__ import annotations

SAFE = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Omitted with CORS: an allowed page may also embed recordings.
SAME_ORIGIN = {"Cross-Origin-Resource-Policy": "same-origin"}


def safe_headers(*, shared: bool) -> dict[str, str]:
    """`shared`: CORS allows pages of other origins."""
    return SAFE if shared else SAFE | SAME_ORIGIN

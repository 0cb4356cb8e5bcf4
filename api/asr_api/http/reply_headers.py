"""What every reply says to browsers, whatever route or error it comes from; routes may say more.

Nothing is guessed to be another type, nothing is framed, and nothing that is opened in a tab may
run or load anything: OWASP's REST security cheat sheet.
"""

from __future__ import annotations

SAFE = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Not beside CORS: a page that may use the API may show its recordings too.
SAME_ORIGIN = {"Cross-Origin-Resource-Policy": "same-origin"}


def safe_headers(*, shared: bool) -> dict[str, str]:
    """`shared`: CORS allows pages of other origins."""
    return SAFE if shared else SAFE | SAME_ORIGIN

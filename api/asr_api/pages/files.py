"""The static files of the web pages, read from the package."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

_LINKS = re.compile(rb'\b(href|src)="(?![a-z]+:|#|/)(\./)?')
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def content_security_policy(*, script: str = "", image: str = "") -> str:
    """Scripts, styles and images from this server only; media may be blobs, as recordings are
    fetched with a key. No inline code, frames or other origins, except `script` and `image`.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {script}".rstrip(),
            "style-src 'self'",
            f"img-src 'self' {image}".rstrip(),
            "connect-src 'self'",
            "media-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


# Beside those of every reply, `asr_api.http.reply_headers`.
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": content_security_policy(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}


@dataclass(frozen=True)
class PageFile:
    """One file; `etag` is a content hash, equal on every pod."""

    content: bytes
    media_type: str
    etag: str


@lru_cache(maxsize=32)
def page(name: str, root: str) -> PageFile:
    """`index.html` or `dashboard.html` with links rewritten to start with `root`: a proxy may serve
    the page at `/asr`, without the trailing slash that relative links need.
    """
    found = _read("", name)
    if not root:
        return found
    return _file(_LINKS.sub(rf'\1="{root}/'.encode(), found.content), name)


@cache
def assets() -> dict[str, PageFile]:
    """Every script, style and picture by its file name."""
    folder = files("asr_api.pages") / "assets"
    names = [each.name for each in folder.iterdir() if _suffix(each.name) in _MEDIA_TYPES]
    return {name: _read("assets/", name) for name in names}


def _read(folder: str, name: str) -> PageFile:
    return _file(files("asr_api.pages").joinpath(folder + name).read_bytes(), name)


def _file(content: bytes, name: str) -> PageFile:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(content, _MEDIA_TYPES[_suffix(name)], etag)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]

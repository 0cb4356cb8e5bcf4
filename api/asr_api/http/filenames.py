"""Client-supplied file names: displayed, never used as a path. Pure."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from asr_core.text_limits import FILENAME


def clean_filename(raw: str) -> str:
    """The last part of `raw` without control and invisible format characters, 255 characters at
    most.
    """
    base = raw.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in base if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"})
    kept = kept.strip()
    return "" if kept in {".", ".."} else FILENAME.cut(kept)


def attachment_disposition(filename: str, *, fallback: str) -> str:
    """A Content-Disposition value: an ASCII name for old clients, the full one by RFC 5987."""
    name = filename or fallback
    ascii_name = "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name
    )
    value = f'attachment; filename="{ascii_name}"'
    if ascii_name != name:
        value += f"; filename*=UTF-8''{quote(name, safe='')}"
    return value

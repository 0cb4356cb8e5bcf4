"""`Content-Disposition` of a form's part, as clients write it. Pure.

RFC 7578 forbids `filename*=`; .NET's HttpClient sends it beside a mangled plain name. Browsers and
curl write `"`, CR and LF as `%22`, `%0D` and `%0A`, and nothing else so:
https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

_EXTENDED = re.compile(r";\s*filename\*\s*=\s*\"?([A-Za-z0-9_-]*)'[^']*'([^;\"\s]*)", re.IGNORECASE)
_ESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_ESCAPES = re.compile("|".join(_ESCAPED), re.IGNORECASE)


def parse_disposition(value: bytes) -> tuple[str | None, str | None]:
    """The names of the field and of the file; None for what is not there."""
    text = value.decode("latin-1")
    _, parameters = parse_options_header(text)
    name = _text(parameters.get(b"name"))
    return name, _extended(text) or _text(parameters.get(b"filename"))


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    return _ESCAPES.sub(lambda m: _ESCAPED[m[0].upper()], value.decode("utf-8", "replace"))


def _extended(header: str) -> str | None:
    """`filename*=UTF-8''…`, RFC 5987; None if absent or in an unknown charset."""
    found = _EXTENDED.search(header)
    if found is None:
        return None
    try:
        return unquote_to_bytes(found[2]).decode(found[1] or "utf-8", "replace")
    except LookupError:
        return None

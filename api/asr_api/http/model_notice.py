"""The header with the warning about a model, for replies that have no field for it."""

from __future__ import annotations

from typing import Any

from asr_core.models.entry import EMBEDDED, notice_of

HEADER = "x-asr-model-notice"
NOTICE_HEADERS: dict[str, Any] = {
    HEADER: {
        "description": "a warning about the model; absent if there is none",
        "schema": {"type": "string", "examples": [notice_of(EMBEDDED)]},
    }
}


def notice_header(model_id: str) -> dict[str, str]:
    """For a transcript of this model; empty if there is no warning."""
    notice = notice_of(model_id)
    return {HEADER: notice} if notice else {}

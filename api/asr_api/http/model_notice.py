"""The header that says of the model what a transcript without other fields cannot say."""

from __future__ import annotations

from typing import Any

from asr_core.models.entry import EMBEDDED, notice_of

HEADER = "x-asr-model-notice"
NOTICE_HEADERS: dict[str, Any] = {
    HEADER: {
        "description": "what to know of the model; left out where there is nothing",
        "schema": {"type": "string", "examples": [notice_of(EMBEDDED)]},
    }
}


def notice_header(model_id: str) -> dict[str, str]:
    """Of a transcript of this model; empty where there is nothing to say."""
    notice = notice_of(model_id)
    return {HEADER: notice} if notice else {}

"""Why a request did not bring what was asked for: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asr_platform.retry import BACKOFF_FIRST_SECONDS, retry_delay

Request = Literal["submit", "result", "delete"]
Kind = Literal["http", "connect", "timeout", "broken", "malformed"]

_REPLY_LOST_STATUSES = frozenset({502, 504})
_GONE_CODES = frozenset({"task_not_found", "result_gone"})


@dataclass(frozen=True)
class Problem:
    """Equal ones are counted together.

    `http`: an error reply, with the API's own `code` if it has one; `connect`: no connection came
    about; `timeout`, `broken`: no reply came on it; `malformed`: no reply of this API.
    """

    request: Request
    kind: Kind
    status: int | None = None
    code: str = ""

    @property
    def reply_lost(self) -> bool:
        """Whether the request may have succeeded anyway; a gateway can lose replies too."""
        return self.kind in ("timeout", "broken", "malformed") or (
            self.status in _REPLY_LOST_STATUSES
        )

    @property
    def refused(self) -> bool:
        """Whether the server refused, and would refuse again."""
        status = self.status
        return status is not None and 400 <= status < 500 and status not in (408, 429)

    @property
    def task_gone(self) -> bool:
        """Whether the API itself, not a proxy, says that task or result no longer exists."""
        return self.status in (404, 410) and self.code in _GONE_CODES

    def pause_seconds(self, retry_after: str | None) -> float:
        """How long a client waits before it goes on."""
        delay = retry_delay(1, self.status, retry_after)
        return BACKOFF_FIRST_SECONDS if delay is None else delay

    def __str__(self) -> str:
        outcome = f"HTTP {self.status} {self.code}".rstrip() if self.kind == "http" else self.kind
        return f"{self.request}: {outcome}"

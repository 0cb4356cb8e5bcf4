"""What a caller of the client asks of the engine, as the API's fields. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asr_cli.client_errors import ClientError
from asr_core.errors import InvalidOption
from asr_core.text_limits import LANGUAGE, URL, check_hotwords


@dataclass(frozen=True)
class SubmitOptions:
    """What is asked of the engine, and how urgent it is; None leaves the server's default.

    `hotwords` is a sequence, or text with commas between. Raises ClientError for text that is
    longer than the API takes: an upload would be in vain.
    """

    lane: str | None = None
    pool: str | None = None
    language: str | None = None
    channels: str | None = None
    track: int | None = None
    itn: bool | None = None
    speakers: bool | None = None
    hotwords: Sequence[str] = ()
    webhook: str | None = None

    def __post_init__(self) -> None:
        try:
            check_hotwords(self._words)
            LANGUAGE.check("language", self.language or "")
            URL.check("webhook", self.webhook or "")
        except InvalidOption as error:
            raise ClientError(error.message, code=error.code) from None

    def form(self) -> dict[str, str]:
        """The multipart fields beside the audio."""
        fields = {
            "lane": self.lane,
            "pool": self.pool,
            "language": self.language,
            "channels": self.channels,
            "track": None if self.track is None else str(self.track),
            "webhook": self.webhook,
        }
        switches = {"itn": self.itn, "speakers": self.speakers}
        fields |= {name: str(on).lower() for name, on in switches.items() if on is not None}
        fields["hotwords"] = ",".join(self._words) or None
        return {name: value for name, value in fields.items() if value is not None}

    def body(self) -> dict[str, Any]:
        """The fields beside the URL of a recording that the server fetches."""
        fields: dict[str, Any] = {**self.form()}
        switches = {"itn": self.itn, "speakers": self.speakers}
        fields |= {name: on for name, on in switches.items() if on is not None}
        if self.track is not None:
            fields["track"] = self.track
        if self._words:
            fields["hotwords"] = self._words
        return fields

    @property
    def _words(self) -> list[str]:
        words = self.hotwords.split(",") if isinstance(self.hotwords, str) else self.hotwords
        return [word for word in words if word.strip()]

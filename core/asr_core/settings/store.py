"""Where audio and results are stored, and for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, field_validator

from asr_core.settings.base import OptionalFromEnv, Settings

MAX_AGE_DAYS = 36_500


class StoreSettings(Settings):
    """Where audio and results lie: `file:///…`, `s3://bucket/prefix`, `gs://…`, `az://…`."""

    store_url: str = "file:///var/lib/asr-platform/store"


class RetentionSettings(Settings):
    """How long what is finished stays. Unset: without that limit."""

    max_recordings: OptionalFromEnv[NonNegativeInt] = Field(
        10,
        validation_alias="MAX_RECORDINGS",
        description="recordings of completed and cancelled tasks kept per tenant, newest first",
    )
    recordings_min_age_minutes: float = Field(
        60.0,
        ge=0,
        le=MAX_AGE_DAYS * 24 * 60,
        description="for which MAX_RECORDINGS, unless it is 0, spares those of ended tasks",
    )
    recordings_max_age_days: OptionalFromEnv[Annotated[float, Field(gt=0, le=MAX_AGE_DAYS)]] = (
        Field(None, description="from the end of the task; failed ones excepted")
    )
    results_max_age_days: OptionalFromEnv[Annotated[float, Field(gt=0, le=MAX_AGE_DAYS)]] = Field(
        7.0, description="from the end of the task; then nothing is left"
    )

    @field_validator("recordings_min_age_minutes", mode="before")
    @classmethod
    def _spare_none(cls, value: object) -> object:
        return 0 if value == "" else value

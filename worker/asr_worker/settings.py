"""Settings of a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, PositiveFloat, PositiveInt, field_validator

from asr_core.settings.base import GIB, OptionalFromEnv, Settings
from asr_core.settings.listening import MetricsSettings
from asr_core.settings.logs import LogSettings
from asr_core.settings.models import ModelSettings
from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from asr_core.settings.store import StoreSettings
from asr_core.task import DEFAULT_POOL

Precision = Literal["float32", "bfloat16", "float16", "int8", "int8_float32"]


class RemoteSettings(Settings):
    """A model server of engine `remote`."""

    remote_url: str = Field(
        "", description="a server of OpenAI's transcription contract: engine `remote` uses it"
    )
    remote_api_key: str = Field("", repr=False, description="its key, if it wants one")
    remote_model: str = Field("", description="unset: the server's only model")
    remote_concurrency: int = Field(
        16, ge=1, le=512, description="segments that one worker has there at once"
    )
    remote_timeout_seconds: float = Field(120.0, gt=0, description="for one segment, all in all")
    remote_ca_file: OptionalFromEnv[Path] = Field(
        None, description="certificates of authorities trusted beside the public ones"
    )

    @field_validator("remote_url")
    @classmethod
    def _is_a_server(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be http:// or https:// with a host: http://localhost:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold a host and a path only; ASR_REMOTE_API_KEY is for the key")
        return url

    @field_validator("remote_api_key")
    @classmethod
    def _fits_a_header(cls, key: str) -> str:
        bare = key.strip()
        if not (bare.isascii() and bare.isprintable()) or " " in bare:
            raise ValueError("must be letters, digits and signs of ASCII, without spaces")
        return bare


class WorkerSettings(
    RemoteSettings,
    RedisSettings,
    QueueSettings,
    StoreSettings,
    LogSettings,
    MetricsSettings,
    ModelSettings,
):
    """A worker's settings."""

    model: str = Field(
        "embedded",
        description="`embedded`, a name of `asr models list` in the cache, a hub id, a name of "
        "Whisper's, or a local folder; `asr up` sets `auto` if unset",
    )
    model_revision: str = ""
    engine: Literal["auto", "sensevoice", "paraformer", "whisper", "remote", "automodel"] = "auto"
    precision: Literal["auto"] | Precision = Field(
        "auto",
        description="`float32`, `bfloat16` or `int8`; engine `whisper`: `float32`, `float16`, "
        "`int8` or `int8_float32`; `automodel`: `float32`. `auto`: `float32`, and `float16` for "
        "`whisper` on a GPU",
    )
    punc_model: str = Field("", description="FunASR punctuation model, engine `automodel` only")
    vad: OptionalFromEnv[Literal["silero", "fsmn", "energy"]] = Field(
        None,
        description="what is heard of a recording: `silero`, `fsmn` (FunASR's), or `energy`, all "
        "that is audible; unset: `fsmn` if `ASR_VAD_MODEL` is set, else `silero`, or `energy` "
        "where onnxruntime is missing",
    )
    vad_model: str = Field(
        "", description="FunASR voice activity model of `ASR_VAD=fsmn`; unset: `fsmn-vad`"
    )
    speaker_model: str = Field(
        "", description="FunASR's CAM++, for callers who ask who speaks; with any engine"
    )
    trust_remote_code: bool = Field(
        False, description="GLM-ASR, MOSS and Qwen-Audio may run Python from their folder"
    )
    pool: str = DEFAULT_POOL
    use_gpu: OptionalFromEnv[bool] = Field(
        None, description="unset: if there is one; true: required; false: never"
    )
    batch_size: OptionalFromEnv[PositiveFloat] = Field(
        None,
        description="padded audio-seconds per batch; unset: 500 on a GPU, 60 on a CPU, 120 there "
        "for `whisper`",
    )
    segment_max_seconds: float = Field(30.0, gt=1)
    max_duration_seconds: float = Field(10 * 3600.0, gt=0)
    max_channels: int = Field(16, ge=1)
    cpu_threads: OptionalFromEnv[PositiveInt] = None
    decode_processes: OptionalFromEnv[PositiveInt] = Field(
        None,
        description="processes that decode; one more is kept for short interactive recordings; "
        "unset: half of the processors, 2 to 8",
    )
    decode_cpu_ratio: float = Field(
        0.2, gt=0, description="processor seconds that decoding a second of sound may take"
    )
    decode_cpu_seconds: float = Field(
        1800.0, gt=0, description="processor seconds that decoding one recording may take"
    )
    work_dir: OptionalFromEnv[Path] = Field(
        None, description="decoded audio; unset: the system's temporary folder"
    )
    work_dir_max_bytes: int = Field(
        16 * GIB, ge=1, description="decoded audio of all tasks in hand; the next ones wait"
    )
    worker_count: int = Field(
        1, ge=1, validation_alias=AliasChoices("WORKER_COUNT", "ASR_WORKER_COUNT")
    )
    worker_name: str = Field(
        "", validation_alias=AliasChoices("ASR_WORKER_NAME", "POD_NAME", "HOSTNAME")
    )
    max_tasks_in_hand: int = Field(256, ge=1)
    grace_seconds: float = Field(
        30.0, ge=0, description="after SIGTERM; what does not fit is released"
    )
    progress_deadline_seconds: float = Field(
        600.0, gt=0, description="no progress: leases are no longer renewed"
    )
    max_tasks_per_process: int = Field(
        0, ge=0, description="after so many a fresh process takes over; 0: never"
    )
    max_memory_bytes: int = Field(
        0, ge=0, description="above this a fresh process takes over; 0: no bound"
    )

    @property
    def has_model_server(self) -> bool:
        """Whether the model is on a server, so that none is loaded or fetched here."""
        return self.engine == "remote" or bool(self.remote_url)

    @property
    def recycles(self) -> bool:
        """Whether worker processes end by themselves, and fresh ones take over."""
        return bool(self.max_tasks_per_process or self.max_memory_bytes)

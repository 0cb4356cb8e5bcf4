"""What an engine declares beside its code, for `asr_worker.engines.choose`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from asr_worker.engines.base import Engine, EngineServer
from asr_worker.engines.funasr_models import ModelFolder
from asr_worker.settings import Precision, WorkerSettings


class DeclaredEngine(ABC):
    """Base class of every engine in the registry.

    `architectures` are the models that it can run (empty: any), `auto_architectures` those that
    `ASR_ENGINE=auto` gives to it. `own_settings` are fields of the settings that only this engine
    uses; where one is set, `auto` chooses it and other engines refuse to start.
    """

    name: ClassVar[str]
    architectures: ClassVar[frozenset[str]] = frozenset()
    auto_architectures: ClassVar[frozenset[str]] = frozenset()
    precisions: ClassVar[frozenset[Precision]] = frozenset({"float32", "bfloat16", "int8"})
    own_settings: ClassVar[dict[str, str]] = {}  # by field: its purpose, for the error

    @property
    def server(self) -> EngineServer | None:
        """None: the model is in this process."""
        return None

    @classmethod
    @abstractmethod
    def create(cls, folder: ModelFolder, device: str, settings: WorkerSettings) -> Engine:
        """An engine as configured, not loaded yet."""

    @classmethod
    def precision_on(cls, device: str, settings: WorkerSettings) -> Precision:
        """As configured; `auto` is float32 unless an engine has a better one for the device."""
        return "float32" if settings.precision == "auto" else settings.precision

    def computed_seconds(self, seconds: float) -> float:
        """Segments are padded to the longest of their batch, and to nothing else."""
        return seconds

"""Errors that only a worker knows, of the tree in `asr_core.errors`.

AsrError
├── ModelNotLoaded     the model cannot be loaded as configured: the worker does not start
├── ModelServerRefused a model server takes a segment for invalid: its task fails
├── ModelServerAway    a model server transcribes nothing: the task waits, no attempt is spent
├── CodeRefused        a model tried to run code; defined in `engines.model_code`
└── EngineBroken       the engine fails on what worked at start-up: the process ends; defined in
                       `inference.fault_isolation`
"""

from __future__ import annotations

from asr_core.errors import AsrError, DependencyError, PermanentTaskError


class ModelNotLoaded(AsrError):
    """The model cannot be loaded as configured: the worker must not start."""

    code = "model_not_loaded"
    status = 503


class ModelServerRefused(PermanentTaskError):
    """The model server takes this audio or its options for invalid, and transcribes other audio."""

    code = "model_server_refused"


class ModelServerAway(DependencyError):
    """The model server cannot be reached, or transcribes nothing."""

    code = "model_server_away"

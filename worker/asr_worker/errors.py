"""Errors that only a worker knows, of the tree in `asr_core.errors`.

AsrError
├── ModelNotLoaded     the model cannot be loaded as configured: the worker does not start
├── CodeRefused        a model tried to run code; defined in `engines.model_code`
└── EngineBroken       the engine fails on what worked at start-up: the process ends; defined in
                       `inference.fault_isolation`
"""

from __future__ import annotations

from asr_core.errors import AsrError


class ModelNotLoaded(AsrError):
    """The model cannot be loaded as configured: the worker must not start."""

    code = "model_not_loaded"
    status = 503

"""Errors that only the operator knows, of the tree in `asr_core.errors`.

AsrError
├── LeaseLost     this operator is no longer the leader
└── PoolGone      the WorkerPool was deleted: its loop ends
"""

from __future__ import annotations

from asr_core.errors import AsrError


class LeaseLost(AsrError):
    """This operator is no longer the leader and must not write."""

    code = "lease_lost"


class PoolGone(AsrError):
    """The WorkerPool was deleted."""

    code = "pool_gone"

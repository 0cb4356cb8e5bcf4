"""The decoder process, `python -m asr_worker.audio.decoder_child`; a hostile file may crash it.

It reads jobs as JSON on standard input, one at a time, replies on standard output and writes
samples into the work folder. Memory and CPU time are bounded, and the environment is not the
worker's. `decoder_process` is the worker's side.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from asr_core.errors import AsrError, DecoderCrashed, TransientTaskError
from asr_worker.audio import decoder
from asr_worker.audio.decoder import DecodeLimits
from asr_worker.audio.decoding.cost import CostLimits
from asr_worker.audio.pcm import PcmFile

READY: Final = b"ready"
TAKEN: Final = b"taken"
# Between two checks a decoder may spend so much; what spends more is stuck in one packet.
_SLACK_CPU_SECONDS: Final = 2.0

Job = dict[str, Any]
Reply = dict[str, Any]


def main(memory_bytes: int) -> None:
    """Serves jobs until standard input is closed or the worker ends.

    Signals are ignored: a draining worker still needs its files decoded.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    replies = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # what a library prints is no reply
    jobs = Connection(os.dup(0), writable=False)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _bound_memory(memory_bytes)
    with contextlib.suppress(EOFError, OSError):
        replies.send_bytes(READY)
        while True:
            job = json.loads(jobs.recv_bytes())
            replies.send_bytes(TAKEN)
            replies.send_bytes(json.dumps(_answer(job)).encode())


def _end_with_parent() -> None:
    """Ends with a killed worker, even while a job hangs and no reply is sent."""
    watched = select.poll()
    watched.register(0, select.POLLHUP)
    watched.poll()
    os._exit(1)


def _answer(job: Job) -> Reply:
    try:
        return {"pcm": _pcm_fields(_decoded(job))}
    except AsrError as error:
        return {"error": error.code, "message": error.message}
    except MemoryError:
        return _error_reply(DecoderCrashed("the decoder ran out of memory on this file"))
    except OSError as error:
        return {"errno": error.errno, "message": error.strerror}
    except Exception as error:
        return _error_reply(TransientTaskError(f"decoding failed: {type(error).__name__}: {error}"))


def _decoded(job: Job) -> PcmFile:
    limits = dict(job["limits"])
    cost = CostLimits(**limits.pop("cost"))
    allow = _processor_limit()
    allow(cost.allowed_seconds(0.0))
    return decoder.spool(
        Path(job["source"]),
        Path(job["target"]),
        channels=job["channels"],
        track=job["track"],
        limits=DecodeLimits(**limits, cost=cost),
        on_allowed=allow,
    )


def _pcm_fields(pcm: PcmFile) -> dict[str, Any]:
    warnings = [warning.model_dump() for warning in pcm.warnings]
    return {**asdict(pcm), "path": str(pcm.path), "warnings": warnings}


def _error_reply(error: AsrError) -> Reply:
    return {"error": error.code, "message": error.message}


def _processor_limit() -> Callable[[float], None]:
    """Returns a function that sets RLIMIT_CPU to so many seconds from now: the last resort for a
    decoder stuck in one packet. RLIMIT_CPU itself counts from the start of the process.
    """
    try:
        import resource
    except ImportError:  # Windows
        return lambda _: None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_seconds = usage.ru_utime + usage.ru_stime

    def allow(seconds: float) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        until = int(used_seconds + seconds + _SLACK_CPU_SECONDS) + 1
        if hard != resource.RLIM_INFINITY:
            until = min(until, hard)
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))

    return allow


def _bound_memory(memory_bytes: int) -> None:
    """Bounds the address space where the system supports it, so that runaway buffers fail here."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # macOS refuses an address space limit
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    main(int(sys.argv[1]))

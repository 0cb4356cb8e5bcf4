"""The probe process: `python -m asr_api.probe.child`, one JSON line in, one JSON line out.

Its memory and CPU time are limited; it writes no file and inherits none of the server's
environment.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, TextIO

from asr_api.probe.report import ProbeLimits
from asr_core.errors import AsrError, UnreadableAudio


def main() -> None:
    """Serve probes until standard input ends. The first line says that the process is ready."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    limits = ProbeLimits(**json.loads(sys.argv[1]))
    from asr_api.probe import (
        reader,  # the slow import, done once per process, before memory is limited
    )

    _limit_for_good(limits)
    _reply(replies, {"ready": True})
    for line in sys.stdin:
        _limit_processor_time(limits.cpu_seconds)
        try:
            question = json.loads(line)
            report = reader.read_report(Path(question["path"]), limits, question.get("track"))
            _reply(replies, {"report": report.to_dict()})
        except AsrError as error:
            param = error.param or "audio"
            _reply(replies, {"error": error.code, "message": error.message, "param": param})
        except MemoryError:
            _reply(
                replies,
                {
                    "error": UnreadableAudio.code,
                    "message": "Reading the audio takes too much memory.",
                },
            )
        except OSError as error:
            _reply(replies, {"failed": f"{type(error).__name__}: {error}"})


def _reply(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def _limit_for_good(limits: ProbeLimits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def _limit_processor_time(seconds: float) -> None:
    """RLIMIT_CPU counts from process start, so set it relative to the CPU time used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = int(usage.ru_utime + usage.ru_stime + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


if __name__ == "__main__":
    main()

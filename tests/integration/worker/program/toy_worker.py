"""A worker program with a toy engine: all is real but the model; it starts in half a second.

It says how loud a recording is. `TOY_FAULTS` names what it does wrong, as JSON: {"0.9": "hang"}
means that it hangs on a segment of that level, {"SEGV": "segfault"} that a decoder dies of a source
that begins with these bytes. `TOY_GATE` is a file that batches of a gated level wait for; a file
`hanging` beside it says that something hangs. `TOY_CLOCK` is how many seconds this program's clock
is off, `TOY_SECONDS` what each batch takes.

Supervised children import this file, too: all but the last lines happens there. So does a decoder,
which is this program with another argument; as it has no environment, its faults are an argument.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from asr_worker.audio import decoder, decoder_child, decoder_process
from asr_worker.engines.base import PendingTexts, SegmentText
from asr_worker.inference.pending_results import PendingResults
from asr_worker.process import recycling, supervisor

DECODER = "decoder"
AS_DECODER = sys.argv[2:4] if sys.argv[1:2] == [DECODER] else []
TOLD = AS_DECODER or [
    os.environ.get("TOY_FAULTS", "{}"),
    os.environ.get("TOY_GATE", "/nonexistent"),
]
FAULTS: dict[str, str] = json.loads(TOLD[0])
GATE = Path(TOLD[1])
CLOCK_OFF_SECONDS = float(os.environ.get("TOY_CLOCK", "0"))
BATCH_SECONDS = float(os.environ.get("TOY_SECONDS", "0"))
FOR_EVER = 10**6
_leaked: list[bytes] = []


class ToyEngine:
    name = "toy"
    model_id = "toy"
    device = "cpu"
    supports: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    server = None

    def computed_seconds(self, seconds: float) -> float:
        return seconds

    def load(self) -> None:
        pass

    def warm_up(self) -> None:
        pass

    def submit(self, batch: Any) -> PendingTexts:
        levels = [f"{np.abs(segment.pcm).max():.1f}" for segment in batch]
        time.sleep(BATCH_SECONDS)
        for fault in {FAULTS[level] for level in levels if level in FAULTS}:
            commit(fault)
        return lambda: [SegmentText(f"level {level}") for level in levels]


def commit(fault: str) -> None:
    if fault == "hang":
        GATE.with_name("hanging").touch()
        time.sleep(FOR_EVER)
    elif fault == "hang with the lock":
        ctypes.PyDLL(None).sleep(FOR_EVER)
    elif fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "burn":
        while True:
            pass
    elif fault == "segfault":
        ctypes.string_at(0)
    elif fault == "gate":
        while not GATE.exists():
            time.sleep(0.01)
    elif fault == "leak":
        _leaked.append(os.urandom(1024) * 1024 * 32)
    elif fault == "fill memory":
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        _leaked.append(bytes(limit if limit > 0 else 0))


spool, deliver, now = decoder.spool, PendingResults.deliver, time.time


def faulty_spool(source: Path, target: Path, **options: Any) -> Any:
    begins = source.read_bytes()[:16]
    for mark, fault in FAULTS.items():
        if begins.startswith(mark.encode()):
            commit(fault)
    return spool(source, target, **options)


def faulty_deliver(self: PendingResults, segments: Any, texts: Any) -> None:
    """The event loop runs this: level 0.6 may block it."""
    if any(FAULTS.get(said.text.removeprefix("level ")) == "block the loop" for said in texts):
        time.sleep(FOR_EVER)
    deliver(self, segments, texts)


choose = ModuleType("asr_worker.engines.choose")
choose.load_engine = lambda _settings: ToyEngine()  # type: ignore[attr-defined]
sys.modules["asr_worker.engines.choose"] = choose
torch = ModuleType("torch")
torch.cuda = SimpleNamespace(  # type: ignore[attr-defined]
    is_available=lambda: False, OutOfMemoryError=MemoryError
)
sys.modules["torch"] = torch
decoder.spool = faulty_spool
PendingResults.deliver = faulty_deliver  # type: ignore[method-assign]
time.time = lambda: now() + CLOCK_OFF_SECONDS
supervisor._FIRST_PAUSE_SECONDS = 0.05
recycling.LEAST_AGE_SECONDS = 0.0  # type: ignore[misc]
decoder_process.COMMAND = (sys.executable, "-B", __file__, DECODER, *TOLD)  # type: ignore[assignment]

if __name__ == "__main__" and AS_DECODER:
    decoder_child.main(int(sys.argv[-1]))
elif __name__ == "__main__":
    from asr_worker.process.main import leave, main

    leave(main())

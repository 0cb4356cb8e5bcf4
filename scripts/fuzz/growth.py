"""How the time of a parser grows with its input, by doubling: over three doublings, eight times as
much input, it may grow 24 times. That of a parser that looks at every pair of bytes grows 64 times.

Measured on the processor time of this thread, which other programs hardly change.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from asr_core.errors import AsrError
from fuzz.parsers import Parser

TIMES = 8
MOST_GROWTH = 24.0
NOISE_SECONDS = 0.0003
STUCK_SECONDS = 30.0


@contextmanager
def stuck_after(seconds: float) -> Iterator[None]:
    """Ends what is exponential: `re` heeds signals."""

    def stop(*_: object) -> None:
        raise AssertionError(f"not done after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def seconds_of(read: Callable[[str], Any], text: str, tries: int) -> float:
    """The least of several."""
    least = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        # A refusal is an answer; what is no refusal (RecursionError, AttributeError) is a 500.
        with suppress(AsrError, ValueError):
            read(text)
        least = min(least, time.thread_time() - began)
    return least


def growth(read: Callable[[str], Any], make: Callable[[int], str], largest: int) -> float:
    """By how many times the time grew at worst over three doublings. It stops at the first size
    that is too much: a whole input would take minutes.
    """
    worst, before = 0.0, None
    for size in (largest // TIMES**3, largest // TIMES**2, largest // TIMES, largest):
        taken = seconds_of(read, make(size), tries=1 if size == largest else 3)
        if before is not None:
            worst = max(worst, taken / (before + NOISE_SECONDS))
            if worst > MOST_GROWTH:
                break
        before = taken
    return worst


def repeated(start: str, unit: str, size: int) -> str:
    """It ends with what fits nothing: an expression that has matched looks no further."""
    return start + unit * ((size - len(start)) // len(unit)) + "!"


def grows_too_fast(parser: Parser, start: str, unit: str) -> float:
    """0 where it does not. What a busy machine slows down once it does not slow down each time."""
    for _ in range(3):
        with stuck_after(STUCK_SECONDS):
            found = growth(parser.read, partial(repeated, start, unit), parser.largest)
        if found <= MOST_GROWTH:
            return 0.0
    return found

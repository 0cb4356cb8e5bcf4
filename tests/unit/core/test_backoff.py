from __future__ import annotations

from asr_core.backoff import backoff_seconds


def test_a_pause_doubles_up_to_its_limit() -> None:
    pauses = [backoff_seconds(n, first=0.5, most=5) for n in (0, 1, 2, 3, 4, 100_000)]
    assert pauses == [0.5, 1, 2, 4, 5, 5]

"""How streams and histories are called: other releases read them too."""

from __future__ import annotations

import pytest

from asr_core.keys import Keys
from asr_core.task import Lane


@pytest.mark.parametrize(
    ("pool", "lane", "name"),
    [
        ("default", Lane.NORMAL, "asr_tasks"),
        ("default", Lane.BATCH, "asr_tasks:batch"),
        ("a", Lane.NORMAL, "asr_tasks:a"),
        ("zebra", Lane.NORMAL, "asr_tasks:zebra"),
        ("zebra", Lane.INTERACTIVE, "asr_tasks:zebra:interactive"),
    ],
)
def test_a_stream_is_named_by_pool_and_lane_where_they_are_not_the_usual(
    pool: str, lane: Lane, name: str
) -> None:
    assert Keys().stream(pool, lane) == name
    assert Keys("p").stream(pool, lane) == f"{{p}}:{name}"


def test_a_history_may_be_of_one_state() -> None:
    assert Keys().history("t") == "asr:history:t"
    assert Keys().history("t", "failed") == "asr:history:t:failed"


def test_only_where_slots_may_move_a_script_looks_whether_they_do() -> None:
    assert "asr:slot" in Keys("p").lua()
    assert "asr:slot" not in Keys("p").lua(silent=True)
    assert "asr:slot" not in Keys().lua()

"""What the status says, when it is worth writing, and which events tell of it."""

from __future__ import annotations

from typing import Any

from asr_operator import report
from asr_operator.look import last_written
from asr_operator.plan import Condition

READY = Condition("Ready", True, "Steady", "3 replicas")
NOT_READY = Condition("Ready", False, "HoldSignal", "Redis is away")


def status(*conditions: Condition, now: float = 0, **fields: Any) -> dict[str, Any]:
    return {**fields, "conditions": report.conditions({}, conditions, generation=1, now=now)}


def test_the_time_of_a_transition_is_kept_while_the_status_is() -> None:
    first = report.conditions({}, [READY], generation=1, now=1000)
    again = Condition("Ready", True, "ScaleUp", "5 replicas")
    second = report.conditions({"conditions": first}, [again], generation=2, now=2000)
    third = report.conditions({"conditions": second}, [NOT_READY], generation=2, now=3000)
    assert [each[0]["lastTransitionTime"] for each in (first, second, third)] == [
        "1970-01-01T00:16:40Z",
        "1970-01-01T00:16:40Z",
        "1970-01-01T00:50:00Z",
    ]
    assert (second[0]["reason"], second[0]["observedGeneration"]) == ("ScaleUp", 2)


def test_conditions_stand_in_one_order_and_what_nobody_spoke_of_stays() -> None:
    paused = Condition("Paused", False, "NotPaused", "")
    old = status(paused, READY)
    assert [each["type"] for each in old["conditions"]] == ["Ready", "Paused"]
    listed = report.conditions(old, [NOT_READY], generation=1, now=9)
    assert [(each["type"], each["status"]) for each in listed] == [
        ("Ready", "False"),
        ("Paused", "False"),
    ]


def test_a_long_message_is_cut_to_what_the_schema_allows() -> None:
    listed = report.conditions({}, [Condition("Ready", None, "R", "x" * 3000)], generation=1, now=0)
    assert len(listed[0]["message"]) == 1024
    assert listed[0]["status"] == "Unknown"


def test_only_what_differs_is_written() -> None:
    old = status(READY, replicas=3, waiting=5)
    assert report.changes(old, old) == {}
    assert report.changes(old, {**old, "waiting": 6}) == {"waiting": 6}


def test_moving_numbers_are_not_pressing_but_their_first_and_last_are() -> None:
    old = status(READY, replicas=3, waiting=5, oldestWaitSeconds=7)
    assert not report.is_pressing(old, {"waiting": 6, "oldestWaitSeconds": 9})
    assert report.is_pressing(old, {"waiting": 0})
    assert report.is_pressing({**old, "waiting": 0}, {"waiting": 1})
    assert report.is_pressing(old, {"replicas": 4})


def test_a_new_message_is_not_pressing_a_new_reason_is() -> None:
    old = status(READY)
    reworded = status(Condition("Ready", True, "Steady", "4 replicas"))
    other_reason = status(Condition("Ready", True, "ScaleUp", "4 replicas"))
    assert not report.is_pressing(old, report.changes(old, reworded))
    assert report.is_pressing(old, report.changes(old, other_reason))


def test_an_event_tells_of_each_turn_and_of_nothing_else() -> None:
    good, bad = status(READY), status(NOT_READY)
    assert report.events({}, good["conditions"]) == []
    assert report.events(good, good["conditions"]) == []
    (lost,) = report.events(good, bad["conditions"])
    assert (lost.reason, lost.note, lost.warning) == ("HoldSignal", "Redis is away", True)
    assert report.events(bad, bad["conditions"]) == []
    (back,) = report.events(bad, good["conditions"])
    assert (back.reason, back.warning) == ("Steady", False)
    assert [each.warning for each in report.events({}, bad["conditions"])] == [True]


def test_a_condition_that_is_bad_when_true_warns_then() -> None:
    conflict = status(Condition("Conflict", True, "OlderPool", "another pool owns it"))
    assert [each.warning for each in report.events({}, conflict["conditions"])] == [True]
    paused = status(Condition("Paused", True, "Paused", "by the user"))
    assert [each.warning for each in report.events({}, paused["conditions"])] == [False]


def test_what_was_written_last_is_known_even_if_the_operator_died_in_between() -> None:
    assert last_written({}, 3) is None
    pending = {"lastScale": {"from": 3, "to": 5, "done": False}}
    assert last_written(pending, 3) == 3, "the Deployment was not changed any more"
    assert last_written(pending, 5) == 5
    assert last_written(pending, 4) == 5, "another writer"
    done = {"lastScale": {"from": 3, "to": 5, "done": True}}
    assert last_written(done, 3) == 5, "another writer has set it back"

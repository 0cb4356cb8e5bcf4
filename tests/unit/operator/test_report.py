"""What the status says, when it is worth writing, and which events tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from asr_operator.planning.plan import Condition
from asr_operator.reconcile import status_patch
from asr_operator.reconcile.observer import last_written

READY = Condition("Ready", True, "Steady", "3 replicas")
NOT_READY = Condition("Ready", False, "HoldHeartbeats", "nobody is heard")


def status(*conditions: Condition, now: float = 0, **fields: Any) -> dict[str, Any]:
    return {**fields, "conditions": status_patch.conditions({}, conditions, generation=1, now=now)}


def test_the_time_of_a_transition_is_kept_while_the_status_is() -> None:
    first = status_patch.conditions({}, [READY], generation=1, now=1000)
    again = Condition("Ready", True, "ScaleUp", "5 replicas")
    second = status_patch.conditions({"conditions": first}, [again], generation=2, now=2000)
    third = status_patch.conditions({"conditions": second}, [NOT_READY], generation=2, now=3000)
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
    listed = status_patch.conditions(old, [NOT_READY], generation=1, now=9)
    assert [(each["type"], each["status"]) for each in listed] == [
        ("Ready", "False"),
        ("Paused", "False"),
    ]


def test_a_long_message_is_cut_to_what_the_schema_allows() -> None:
    listed = status_patch.conditions(
        {}, [Condition("Ready", None, "R", "x" * 3000)], generation=1, now=0
    )
    assert len(listed[0]["message"]) == 1024
    assert listed[0]["status"] == "Unknown"


def test_only_what_differs_is_written() -> None:
    old = status(READY, replicas=3, waiting=5)
    assert status_patch.changes(old, old) == {}
    assert status_patch.changes(old, {**old, "waiting": 6}) == {"waiting": 6}


def test_moving_numbers_are_not_pressing_but_their_first_and_last_are() -> None:
    old = status(READY, replicas=3, waiting=5, oldestWaitSeconds=7)
    assert not status_patch.is_pressing(old, {"waiting": 6, "oldestWaitSeconds": 9})
    assert status_patch.is_pressing(old, {"waiting": 0})
    assert status_patch.is_pressing({**old, "waiting": 0}, {"waiting": 1})
    wanted = {**old, "desiredReplicas": 40}
    assert not status_patch.is_pressing(wanted, {"desiredReplicas": 41}), "it moves with each task"
    assert status_patch.is_pressing(wanted, {"desiredReplicas": 0})
    assert status_patch.is_pressing(old, {"replicas": 4})


def test_a_new_message_is_not_pressing_a_new_reason_is() -> None:
    old = status(READY)
    reworded = status(Condition("Ready", True, "Steady", "4 replicas"))
    other_reason = status(Condition("Ready", True, "ScaleUp", "4 replicas"))
    assert not status_patch.is_pressing(old, status_patch.changes(old, reworded))
    assert status_patch.is_pressing(old, status_patch.changes(old, other_reason))


def test_an_event_tells_of_each_turn_and_of_nothing_else() -> None:
    good, bad = status(READY), status(NOT_READY)
    assert status_patch.events({}, good["conditions"]) == []
    assert status_patch.events(good, good["conditions"]) == []
    (lost,) = status_patch.events(good, bad["conditions"])
    assert (lost.reason, lost.note, lost.warning) == ("HoldHeartbeats", "nobody is heard", True)
    assert status_patch.events(bad, bad["conditions"]) == []
    (back,) = status_patch.events(bad, good["conditions"])
    assert (back.reason, back.warning) == ("Steady", False)
    assert [each.warning for each in status_patch.events({}, bad["conditions"])] == [True]


def posted(old: dict[str, Any], *conditions: Condition) -> list[tuple[bool, str]]:
    new = status(*conditions)
    return [(each.warning, each.reason) for each in status_patch.events(old, new["conditions"])]


def summed_up(reason: str, message: str = "m") -> tuple[Condition, Condition]:
    return (
        Condition("Ready", False, reason, message),
        Condition("ScalingActive", False, reason, message),
    )


OLDER = Condition("Conflict", True, "OlderPool", "another pool owns it")
ALONE = Condition("Conflict", False, "OnlyWriter", "")
WELL = (READY, Condition("ScalingActive", True, "Scaling", ""), ALONE)


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("HoldConflict", OLDER),
        ("HoldConflict", Condition("PoolMismatch", True, "OtherPool", "")),
        ("HoldSignal", Condition("SignalAvailable", False, "QueueUnreachable", "")),
        ("Fallback", Condition("SignalAvailable", False, "QueueUnreachable", "")),
        ("HoldCapacity", Condition("CapacityUnavailable", True, "Unschedulable", "")),
        ("GiveUpUnschedulable", Condition("CapacityUnavailable", True, "Unschedulable", "")),
    ],
)
def test_one_cause_posts_one_warning_and_its_end_one_event(reason: str, cause: Condition) -> None:
    bad = (*summed_up(reason), cause)
    good = Condition(cause.type, not cause.status, "Good", "")
    assert posted(status(*WELL), *bad) == [(True, cause.reason)]
    assert posted({}, *bad) == [(True, cause.reason)]
    assert posted(status(*bad), *bad) == []
    assert posted(status(*bad), *WELL[:2], good) == [(False, "Good")]


def test_what_no_other_condition_says_ready_says() -> None:
    for reason in ("HoldHeartbeats", "InvalidSpec", "TargetNotFound"):
        assert posted(status(*WELL), *summed_up(reason), ALONE) == [(True, reason)]
        assert posted(status(*summed_up(reason)), *WELL) == [(False, "Steady")]


def test_a_second_cause_in_a_standing_condition_is_told() -> None:
    first = (*summed_up("HoldConflict"), OLDER)
    hpa = Condition("Conflict", True, "HorizontalPodAutoscaler", "")
    assert posted(status(*first), *summed_up("HoldConflict"), hpa) == [(True, hpa.reason)]
    gone = status(*summed_up("TargetNotFound"))
    assert posted(gone, *summed_up("InvalidSpec")) == [(True, "InvalidSpec")]
    silent = summed_up("HoldHeartbeats")
    assert posted(status(*first), *silent, ALONE) == [
        (True, "HoldHeartbeats"),
        (False, "OnlyWriter"),
    ]
    assert posted(status(*silent, ALONE), *first) == [(True, "OlderPool")]


def test_the_first_lease_of_a_fresh_install_is_no_warning() -> None:
    assert posted({}, *summed_up("HoldUntrusted"), ALONE) == [(False, "HoldUntrusted")]


def test_what_was_asked_for_is_no_warning() -> None:
    dry = Condition("ScalingActive", False, "DryRun", "")
    assert posted(status(*WELL), READY, dry, ALONE) == [(False, "DryRun")]
    many = Condition("ScalingLimited", True, "TooManyReplicas", "")
    assert posted(status(*WELL), *WELL, many) == [], "a pool at its maximum every noon is no news"


def test_a_field_that_means_nothing_is_a_warning() -> None:
    ignored = Condition("FieldIgnored", True, "NeedsPaused", "")
    assert posted(status(*WELL), *WELL, ignored) == [(True, "NeedsPaused")]


def test_a_condition_that_is_bad_when_true_warns_then() -> None:
    conflict = status(Condition("Conflict", True, "OlderPool", "another pool owns it"))
    assert [each.warning for each in status_patch.events({}, conflict["conditions"])] == [True]
    paused = status(Condition("Paused", True, "Paused", "by the user"))
    assert [each.warning for each in status_patch.events({}, paused["conditions"])] == [False]


def test_what_was_written_last_is_known_even_if_the_operator_died_in_between() -> None:
    assert last_written({}, 3) is None
    pending = {"lastScale": {"from": 3, "to": 5, "done": False}}
    assert last_written(pending, 3) == 3, "the Deployment was not changed any more"
    assert last_written(pending, 5) == 5
    assert last_written(pending, 4) == 5, "another writer"
    done = {"lastScale": {"from": 3, "to": 5, "done": True}}
    assert last_written(done, 3) == 5, "another writer has set it back"

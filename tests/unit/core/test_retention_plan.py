"""Which recordings and records may go."""

from __future__ import annotations

from dataclasses import replace

import pytest
import uuid_utils
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from asr_core.retention_policy import RecordingPlan, RetentionPolicy, TaskSnapshot, last_id_before
from asr_core.settings.store import RetentionSettings
from asr_core.task import State

NOW = 1_000_000_000
FINISHED = (State.COMPLETED, State.CANCELLED)


def task(number: int, state: State = State.COMPLETED, **changes: object) -> TaskSnapshot:
    """Task `number`, the higher the newer; it ended a minute ago."""
    made = TaskSnapshot(f"{number:08}", "default", state, NOW - 60_000, 100, False)
    return replace(made, **changes)  # type: ignore[arg-type]


def going(policy: RetentionPolicy, *tasks: TaskSnapshot) -> set[str]:
    plan = RecordingPlan(policy)
    told = [plan.tell(one, NOW) for one in tasks]
    return {one.task_id for one in told if one is not None}


@given(st.permutations(range(12)), st.integers(0, 14))
def test_the_newest_are_kept_in_whatever_order_they_are_listed(order: list[int], n: int) -> None:
    plan = RecordingPlan(RetentionPolicy(max_recordings=n))
    told = [plan.tell(task(number, FINISHED[number % 2]), NOW) for number in order]
    gone = sorted(one.task_id for one in told if one is not None)
    assert gone == [f"{number:08}" for number in range(max(0, 12 - n))]
    assert plan.kept == min(n, 12)


@given(st.permutations(range(12)), st.integers(1, 14), st.integers(0, 12))
def test_what_ended_lately_is_spared_and_counts_among_the_newest(
    order: list[int], most: int, young: int
) -> None:
    """Of twelve tasks the newest `young` ended within the hour that is spared."""
    hour = 3_600_000
    plan = RecordingPlan(RetentionPolicy(max_recordings=most, recordings_min_age_ms=hour))
    ended = {n: NOW - hour + (1 if n >= 12 - young else 0) for n in range(12)}
    told = [plan.tell(task(number, finished_ms=ended[number]), NOW) for number in order]
    gone = sorted(one.task_id for one in told if one is not None)
    kept = min(12, max(most, young))
    assert gone == [f"{number:08}" for number in range(12 - kept)]
    assert plan.kept == kept


def test_a_task_that_waited_long_is_spared_by_when_it_ended_not_by_when_it_came() -> None:
    policy = RetentionPolicy(max_recordings=1, recordings_min_age_ms=60_001)
    old = NOW - 90_000
    assert going(policy, task(1), task(2, finished_ms=old), task(3, finished_ms=old)) == {
        "00000002"
    }


def test_nothing_is_spared_where_no_recording_is_to_be_kept_nor_from_its_age() -> None:
    none = RetentionPolicy(max_recordings=0, recordings_min_age_ms=10**9)
    assert going(none, task(1)) == {"00000001"}
    aged = RetentionPolicy(None, 60_000, recordings_min_age_ms=10**9)
    assert going(aged, task(1)) == {"00000001"}


def test_each_tenant_keeps_its_own() -> None:
    tasks = [task(i, tenant=tenant) for i in range(3) for tenant in ("a", "b")]
    plan = RecordingPlan(RetentionPolicy(max_recordings=2))
    gone = [one for one in (plan.tell(t, NOW) for t in tasks) if one]
    assert [(one.tenant, one.task_id) for one in gone] == [("a", "00000000"), ("b", "00000000")]


def test_failed_and_open_tasks_neither_go_nor_take_a_place() -> None:
    others = [task(i, state) for i, state in enumerate((State.FAILED,) * 3)]
    others += [task(i + 10, State.QUEUED, finished_ms=0) for i in range(3)]
    others += [task(i + 20, State.PROCESSING, finished_ms=0) for i in range(3)]
    policy = RetentionPolicy(max_recordings=1, recordings_max_age_ms=1)
    assert going(policy, *others) == set()
    assert going(RetentionPolicy(max_recordings=1), task(5), *others) == set()


def test_a_recording_past_its_age_goes_and_leaves_its_place_to_others() -> None:
    policy = RetentionPolicy(max_recordings=1, recordings_max_age_ms=60_000)
    young = task(1, finished_ms=NOW - 59_999)
    assert going(policy, task(2), young) == {task(2).task_id}


def test_what_a_pass_that_died_had_marked_goes_whatever_the_limits() -> None:
    policy = RetentionPolicy(max_recordings=10)
    marked = task(1, State.FAILED, audio_deleted=True)
    assert going(policy, marked, task(2)) == {marked.task_id}


def test_what_goes_with_its_record_is_left_to_that() -> None:
    policy = RetentionPolicy(max_recordings=0, results_max_age_ms=60_000)
    assert going(policy, task(1)) == set()
    assert policy.record_is_due(task(1, State.FAILED), NOW)
    assert not policy.record_is_due(task(1, finished_ms=NOW - 59_999), NOW)
    assert not policy.record_is_due(task(1, State.QUEUED, finished_ms=0), NOW)


def test_no_limit_deletes_nothing() -> None:
    policy = RetentionPolicy()
    assert not policy.limits_recordings
    assert going(policy, *(task(i) for i in range(50))) == set()
    assert not policy.record_is_due(task(1, finished_ms=1), NOW)


@given(st.integers(1, 2**47))
def test_the_bound_on_ids_takes_in_its_own_millisecond_and_not_the_next(ms: int) -> None:
    def made_at(at_ms: int) -> str:
        return str(uuid_utils.uuid7(nanoseconds=at_ms * 1_000_000))

    bound = last_id_before(ms)
    assert made_at(ms - 1) < bound
    assert made_at(ms) < bound
    assert made_at(ms + 1) > bound


def settings(**values: object) -> RetentionSettings:
    return RetentionSettings(_env_file=None, **values)  # type: ignore[call-arg,arg-type]


def test_the_defaults_keep_ten_recordings_and_a_week_of_results() -> None:
    week_ms = 7 * 24 * 3600 * 1000
    assert RetentionPolicy.of(settings()) == RetentionPolicy(10, None, week_ms, 3_600_000)


def test_an_empty_setting_lifts_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    ages = ("RECORDINGS_MIN_AGE_MINUTES", "RECORDINGS_MAX_AGE_DAYS", "RESULTS_MAX_AGE_DAYS")
    for name in ("MAX_RECORDINGS", *(f"ASR_{age}" for age in ages)):
        monkeypatch.setenv(name, "")
    assert RetentionPolicy.of(settings()) == RetentionPolicy()


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_recordings": -1},
        {"max_recordings": 1.5},
        {"recordings_min_age_minutes": -1},
        {"recordings_min_age_minutes": float("nan")},
        {"recordings_max_age_days": -1},
        {"recordings_max_age_days": 0},
        {"results_max_age_days": 0},
        {"results_max_age_days": float("inf")},
        {"results_max_age_days": "a week"},
    ],
)
def test_a_limit_that_could_be_meant_otherwise_is_refused(wrong: dict[str, object]) -> None:
    """An age of 0 days might be meant as `for ever`, and would delete everything."""
    with pytest.raises(ValidationError):
        settings(**wrong)

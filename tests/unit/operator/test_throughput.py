"""How fast a worker is reckoned to be: by its pod template, its model and its device."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_operator.planning.observation import History, Measurement, Observation, PodState
from asr_operator.planning.plan import plan
from asr_operator.planning.prior import prior_throughput
from asr_operator.planning.spec import PoolSpec
from asr_operator.planning.throughput import (
    ASSUMED_STARTUP_SECONDS,
    REMEMBERED_TEMPLATES,
    _speed,
    clean,
    throughput_of,
)

PoolOf = Callable[..., PoolSpec]
See = Callable[..., Observation]
FAST = Measurement("old", "m", "cuda", 530.0, 20.0)


def of_template(observation: Observation, template: str, throughput: float = 0.0) -> Observation:
    """All its pods are of this template and its workers measured so much; so is a new pod."""
    return replace(
        observation,
        template=template,
        pods=tuple(replace(pod, template=template) for pod in observation.pods),
        workers=tuple(
            replace(worker, throughput=throughput, model="m", device="cuda")
            for worker in observation.workers
        ),
    )


def test_a_new_template_starts_from_its_own_measurement(pool_of: PoolOf, see: See) -> None:
    """530 audio-seconds a second were measured, the pods are 30 times slower since."""
    spec = pool_of(targetWaitSeconds=30)
    old = of_template(see(1, busy=1, waiting=1), "old", 530.0)
    before = plan(spec, old, History())
    assert before.throughput == 530.0
    observation = see(1, busy=1, waiting=40, oldest_wait_seconds=3.0, now=1002.0)
    after = plan(spec, of_template(observation, "new", 17.7), before.history)
    assert after.throughput == 17.7
    assert after.replicas > 1, "asked for at once: the target is not half gone"


def test_at_zero_workers_a_new_template_takes_nothing_from_the_old_one(
    pool_of: PoolOf, see: See
) -> None:
    observation = replace(see(0, waiting=100), measurements=(FAST,), template="new", gpu=True)
    decided = plan(pool_of(), replace(observation, model="iic/SenseVoiceSmall"), History())
    assert decided.throughput == prior_throughput("iic/SenseVoiceSmall", "cuda") < 530.0
    assert plan(pool_of(spec={"throughput": 7}), observation, History()).throughput == 7.0
    known = replace(observation, template="old")
    assert plan(pool_of(), known, History()).throughput == 530.0


def test_a_rollback_finds_its_figures_again(pool_of: PoolOf, see: See) -> None:
    spec, history = pool_of(), History()
    for step, (template, speed) in enumerate([("a", 100.0), ("b", 5.0), ("c", 50.0)]):
        observation = of_template(see(1, busy=1, now=1000.0 + step), template, speed)
        history = plan(spec, observation, history).history
    assert [each.template for each in history.measurements] == ["c", "b", "a"]
    back = replace(see(0, waiting=1, now=1010.0), template="a")
    assert plan(spec, back, history).throughput == 100.0


def test_a_restart_of_the_operator_forgets_nothing_that_is_still_true(
    pool_of: PoolOf, see: See
) -> None:
    spec = pool_of()
    before = plan(spec, of_template(see(1, busy=1), "a", 40.0), History())
    empty = replace(see(0, waiting=9), template="a", measurements=before.measurements)
    after = plan(spec, empty, History())
    assert (after.throughput, after.startup_seconds) == (40.0, 20.0)


def test_the_same_template_on_another_device_is_measured_anew(pool_of: PoolOf, see: See) -> None:
    """CUDA is missing on a node, or the model behind the name is another one."""
    observation = of_template(see(1, busy=1, waiting=9), "a")
    on_cpu = tuple(replace(worker, device="cpu") for worker in observation.workers)
    observation = replace(observation, workers=on_cpu, measurements=(replace(FAST, template="a"),))
    assert plan(pool_of(), observation, History()).throughput == prior_throughput("m", "cpu")


def test_during_a_rollout_each_pod_counts_with_its_own_speed(pool_of: PoolOf, see: See) -> None:
    """Three old pods that are thirty times as fast leave nothing to do for more new ones."""
    spec = pool_of()
    observation = of_template(see(4, busy=4, waiting=40), "old", 300.0)
    pods = (*observation.pods[:3], replace(observation.pods[3], template="new"))
    workers = (*observation.workers[:3], replace(observation.workers[3], throughput=10.0))
    mixed = replace(observation, pods=pods, workers=workers, template="new", measurements=())
    rolling = plan(spec, mixed, History())
    assert rolling.throughput == 10.0
    assert rolling.desired <= 4
    all_new = plan(spec, of_template(observation, "new", 10.0), History())
    assert all_new.desired > 4
    assert {m.template: m.throughput for m in rolling.measurements} == {"new": 10.0, "old": 300.0}


def test_a_slower_figure_counts_at_once_while_the_target_is_missed(
    pool_of: PoolOf, see: See
) -> None:
    spec = pool_of()
    known = plan(spec, of_template(see(1, busy=1), "a", 100.0), History()).history
    for oldest, expected in ((31.0, 4.0), (3.0, 98.0)):
        observation = see(1, busy=1, waiting=9, oldest_wait_seconds=oldest, now=1001.0)
        decided = plan(spec, of_template(observation, "a", 4.0), known)
        assert decided.throughput == pytest.approx(expected, rel=0.02)


def test_a_worker_that_has_done_no_batch_for_long_is_no_faster_than_what_it_holds(
    pool_of: PoolOf, see: See
) -> None:
    spec = pool_of(spec={"throughput": 530})
    observation = see(1, busy=1, waiting=9, oldest_wait_seconds=120.0)
    stuck = of_template(replace(observation, measurements=()), "a")
    decided = plan(spec, stuck, History())
    assert decided.throughput == 60.0 / 120.0, "a minute of audio, not one batch in two minutes"
    assert decided.measurements[0].throughput == 0.0, "a bound is no measurement"
    one_batch = replace(stuck.workers[0], throughput=20.0)
    assert plan(spec, replace(stuck, workers=(one_batch,)), History()).throughput == 20.0


def test_before_a_pod_was_ready_those_that_start_say_how_long_it_takes(
    pool_of: PoolOf, see: See
) -> None:
    observation = replace(see(2, starting=2, waiting=9), measurements=())
    assert plan(pool_of(), observation, History()).startup_seconds == ASSUMED_STARTUP_SECONDS
    slow = tuple(replace(pod, age_seconds=400.0) for pod in observation.pods)
    assert plan(pool_of(), replace(observation, pods=slow), History()).startup_seconds == 400.0


def stuck(see: See, seconds: float, **pod: Any) -> Observation:
    """One busy worker of 60 s of audio that has not measured anything, for so long."""
    seen = see(1, busy=1, waiting=9, oldest_wait_seconds=seconds, measurements=())
    seen = of_template(seen, "a")
    return replace(seen, pods=(replace(seen.pods[0], **pod),))


@pytest.mark.parametrize(
    ("seconds", "pod", "throughput"),
    [
        (120.0, {}, 0.5),
        (31.0, {}, 60.0 / 31.0),
        (29.0, {}, 530.0),  # the target is not half gone
        (120.0, {"age_seconds": 60.0}, 60.0 / 40.0),  # ready for 40 s
        (120.0, {"age_seconds": 50.0}, 2.0),  # for 30 s
        (120.0, {"age_seconds": 49.0}, 530.0),  # its first batch may still run
        (120.0, {"startup_seconds": None}, 530.0),
        (120.0, {"template": "other"}, 530.0),
        (120.0, {"state": PodState.STARTING}, 530.0),
    ],
)
def test_a_first_batch_is_given_half_a_minute_after_the_start(
    pool_of: PoolOf, see: See, seconds: float, pod: dict[str, Any], throughput: float
) -> None:
    spec = pool_of(spec={"throughput": 530})
    assert plan(spec, stuck(see, seconds, **pod), History()).throughput == throughput


def test_a_pod_that_has_measured_itself_speaks_for_those_of_its_template(
    pool_of: PoolOf, see: See
) -> None:
    seen = of_template(see(2, busy=2, waiting=9, oldest_wait_seconds=120.0, measurements=()), "a")
    one = replace(seen, workers=(replace(seen.workers[0], throughput=40.0), seen.workers[1]))
    assert plan(pool_of(), one, History()).throughput == 40.0


def test_the_upper_median_of_the_pods_counts_and_a_pod_is_all_its_workers(
    pool_of: PoolOf, see: See
) -> None:
    def measured(*speeds: float) -> float:
        seen = see(len(speeds), busy=len(speeds), measurements=())
        workers = [
            replace(worker, throughput=speed)
            for worker, speed in zip(seen.workers, speeds, strict=True)
        ]
        return plan(pool_of(), replace(seen, workers=tuple(workers)), History()).throughput

    assert measured(10.0, 30.0, 20.0) == 20.0
    assert measured(10.0, 20.0, 30.0, 40.0) == 30.0
    assert measured(0.0, 0.0, 7.0) == 7.0
    seen = see(1, busy=1, measurements=())
    twins = (seen.workers[0], replace(seen.workers[0], consumer="pod-0.y", throughput=5.0))
    assert plan(pool_of(), replace(seen, workers=twins), History()).throughput == 15.0


@pytest.mark.parametrize(("passed", "part"), [(0.0, 1.0), (60.0, 0.3679), (120.0, 0.1353)])
def test_a_lower_figure_is_believed_by_two_thirds_after_a_minute(
    pool_of: PoolOf, see: See, passed: float, part: float
) -> None:
    known = History(at=1000.0, measurements=(Measurement("a", "m", "cuda", 100.0, 20.0),))
    seen = of_template(see(1, busy=1, waiting=1, now=1000.0 + passed), "a", 10.0)
    decided = plan(pool_of(), seen, known)
    assert decided.throughput == pytest.approx(10.0 + 90.0 * part, abs=0.01)


@pytest.mark.parametrize(("passed", "part"), [(0.0, 1.0), (300.0, 0.3679), (600.0, 0.1353)])
def test_a_slow_start_is_remembered_for_some_minutes(
    pool_of: PoolOf, see: See, passed: float, part: float
) -> None:
    known = History(at=1000.0, measurements=(Measurement("a", "m", "cuda", 100.0, 120.0),))
    seen = of_template(see(1, now=1000.0 + passed), "a", 100.0)
    decided = plan(pool_of(), seen, known)
    assert decided.startup_seconds == pytest.approx(20.0 + 100.0 * part, abs=0.01)
    slower = replace(seen, pods=(replace(seen.pods[0], startup_seconds=300.0),))
    assert plan(pool_of(), slower, known).startup_seconds == 300.0


def test_figures_that_cannot_be_divided_by_are_none() -> None:
    assert [_speed(value) for value in (9e-4, 1e-3, 5.0, 1e9, 2e9, -1.0, math.nan)] == [
        0.0, 1e-3, 5.0, 1e9, 1e9, 0.0, 0.0,
    ]  # fmt: skip
    assert [clean(value) for value in (-1.0, 0.0, 3.0, 1e12, 1e13, math.inf, math.nan)] == [
        0.0, 0.0, 3.0, 1e12, 1e12, 0.0, 0.0,
    ]  # fmt: skip


def test_before_a_start_was_seen_workers_say_how_long_they_loaded(
    pool_of: PoolOf, see: See
) -> None:
    seen = see(2, measurements=())
    seen = replace(seen, pods=tuple(replace(pod, startup_seconds=None) for pod in seen.pods))
    assert plan(pool_of(), seen, History()).startup_seconds == 3.0
    last = (Measurement("older", startup_seconds=44.0), Measurement("old", startup_seconds=9.0))
    assert plan(pool_of(), replace(seen, measurements=last), History()).startup_seconds == 44.0


def test_a_folder_of_long_recordings_wakes_all_workers_before_anything_was_measured(
    pool_of: PoolOf, see: See
) -> None:
    observation = see(0, waiting=500, audio_seconds=300_000.0, measurements=(), gpu=True)
    first = plan(pool_of(), observation, History())
    assert first.replicas == 4, "a step"
    assert first.desired >= 8
    assert "assumed for an unknown model on cuda" in first.message
    one = plan(pool_of(), see(0, waiting=1, measurements=()), History())
    assert one.replicas == 1


def test_a_prior_is_by_device_and_model() -> None:
    assert prior_throughput("iic/SenseVoiceSmall", "cuda:0") > prior_throughput("SenseVoice", "cpu")
    assert prior_throughput("openai/whisper-large-v3", "cpu") == 1.0
    assert prior_throughput("embedded", "cpu") > prior_throughput("paraformer-zh", "cpu")
    assert prior_throughput("", "") == prior_throughput("something", "cpu") == 2.0
    assert prior_throughput("something", "cuda") == 10.0
    by_model = {
        model: (prior_throughput(model, "cpu"), prior_throughput(model, "cuda"))
        for model in ("embedded", "iic/SenseVoiceSmall", "paraformer-zh", "whisper")
    }
    assert by_model == {
        "embedded": (50.0, 50.0),
        "iic/SenseVoiceSmall": (6.0, 80.0),
        "paraformer-zh": (6.0, 60.0),
        "whisper": (1.0, 10.0),
    }


speeds = st.floats(0.01, 1e5)


@settings(max_examples=60, deadline=None)
@given(speeds, speeds, st.floats(0, 1e4), st.integers(0, 500), st.booleans())
def test_no_old_figure_reaches_a_new_template(
    old: float, own: float, oldest: float, waiting: int, has_measured: bool
) -> None:
    """Whatever was measured before, the same is decided for a new template."""
    spec = PoolSpec.parse({"scaleTargetRef": {"name": "w"}, "throughput": 9})
    make = observation_of(waiting, oldest)
    observation = of_template(make, "new", own if has_measured else 0.0)
    decided = [
        plan(spec, observation, History(at=990.0, measurements=(replace(FAST, throughput=speed),)))
        for speed in (old, 1.0)
    ]
    assert decided[0].throughput == decided[1].throughput
    assert decided[0].replicas == decided[1].replicas
    assert decided[0].throughput <= max(9.0, own)


def observation_of(waiting: int, oldest: float) -> Observation:
    from asr_operator.planning.observation import (
        PodObservation,
        QueueObservation,
        WorkerObservation,
    )

    queue = QueueObservation(
        waiting=waiting, in_flight=1, audio_seconds=60.0 * (waiting + 1), oldest_wait_seconds=oldest
    )
    pods = (PodObservation("pod-0", PodState.READY, 500.0, 20.0),)
    workers = (WorkerObservation("pod-0.x", "pod-0", 1, 1, 60.0),)
    return Observation(1000.0, queue, 1, workers, pods)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), speeds), max_size=12))
def test_few_templates_are_remembered_the_present_one_first(
    changes: list[tuple[str, float]],
) -> None:
    spec = PoolSpec.parse({"scaleTargetRef": {"name": "w"}})
    history = History()
    for template, speed in changes:
        history = plan(spec, of_template(observation_of(1, 0.0), template, speed), history).history
        found = [each.template for each in history.measurements]
        assert found[0] == template
        assert len(set(found)) == len(found) <= REMEMBERED_TEMPLATES
        observation = of_template(observation_of(1, 0.0), template)
        assert throughput_of(spec, observation, history).per_pod >= min(speed, 0.01)


def test_a_download_into_a_shared_volume_is_no_part_of_the_next_pods_start(
    pool_of: PoolOf, see: See
) -> None:
    seen = see(1, waiting=1)
    first = replace(seen.pods[0], startup_seconds=320.0, fetch_seconds=300.0)
    seen = replace(seen, pods=(first,))
    assert plan(pool_of(), seen, History()).startup_seconds == 20.0


def test_while_the_model_is_downloaded_a_start_does_not_count_as_longer_and_longer(
    pool_of: PoolOf, see: See
) -> None:
    """Each second of it would ask for more workers, who all wait for the same download."""
    seen = replace(see(1, waiting=40, starting=1), measurements=())
    began = replace(seen, pods=(replace(seen.pods[0], age_seconds=10.0),))
    later = replace(seen.pods[0], age_seconds=610.0, fetch_seconds=600.0)
    later_seen = replace(seen, pods=(later,))
    assert plan(pool_of(), later_seen, History()).startup_seconds == ASSUMED_STARTUP_SECONDS
    wanted = [plan(pool_of(), each, History()).replicas for each in (began, later_seen)]
    assert wanted[0] == wanted[1]

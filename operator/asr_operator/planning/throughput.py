"""How fast a worker is, and how long it takes to start: from what was measured. Pure.

A figure belongs to the pod template that it was measured with, and to the model and device that
the pods said they ran. A new template starts with none: what the old one did says nothing of the
pods to come, whose model, precision, limits or GPU may be others. Until its first batch is done
the spec's `throughput` counts, else a low figure by model and device (`prior`). Pods of an old
template that still run count with their own speed. A few templates are remembered, so that a
rollback finds its figures again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, isfinite

from asr_operator.planning.observation import History, Measurement, Observation, PodState
from asr_operator.planning.prior import CPU, GPU, prior_throughput
from asr_operator.planning.spec import PoolSpec

ASSUMED_STARTUP_SECONDS = 30.0
REMEMBERED_TEMPLATES = 3
# How soon lower figures are believed (two thirds of the way); higher ones are at once.
_THROUGHPUT_FALLS_SECONDS, _STARTUP_FALLS_SECONDS = 60.0, 300.0
_FIRST_BATCH_SECONDS = 30.0  # a worker with work has measured something by then, if it is fast
_MOST = 1e12
_LEAST_THROUGHPUT, _MOST_THROUGHPUT = 1e-3, 1e9  # as in the spec; below is not measured


@dataclass(frozen=True)
class Throughput:
    """What the plan reckons with.

    `throughput` is in audio-seconds per second, of one pod of the current template; `source` says
    where it is from, and is empty where it was measured. `speeds` are those of all templates that
    have pods. `measurements` are to be remembered, the current template's first.
    """

    throughput: float
    startup_seconds: float
    source: str
    speeds: Mapping[str, float]
    measurements: tuple[Measurement, ...]


def throughput_of(spec: PoolSpec, seen: Observation, history: History) -> Throughput:
    """Measured now, else remembered, else from the spec, else a prior. Never 0."""
    remembered = history.measurements or seen.measurements
    templates = dict.fromkeys([seen.template, *(pod.template for pod in seen.pods)])
    current, *others = [
        _measured(spec, seen, history.at, _remembered(remembered, seen, template))
        for template in templates
    ]
    throughput, source = _throughput(spec, seen, current)
    speeds = {each.template: each.throughput or throughput for each in others}
    return Throughput(
        throughput=throughput,
        startup_seconds=_startup(seen, current, remembered),
        source=source,
        speeds={**speeds, current.template: throughput},
        measurements=_to_remember([current, *others], remembered),
    )


def clean(value: float) -> float:
    """Not negative, finite, and small enough to reckon with."""
    return min(max(value, 0.0), _MOST) if isfinite(value) else 0.0


def _speed(throughput: float) -> float:
    """A measured figure that can be divided by; 0 if it is none."""
    speed = min(clean(throughput), _MOST_THROUGHPUT)
    return speed if speed >= _LEAST_THROUGHPUT else 0.0


def _remembered(known: Iterable[Measurement], seen: Observation, template: str) -> Measurement:
    """What is known of a template; nothing if its workers now say another model or device."""
    names = {pod.name for pod in seen.pods if pod.template == template}
    model, device = next(
        ((each.model, each.device) for each in seen.workers if each.pod in names and each.model),
        ("", ""),
    )
    for each in known:
        if each.template == template and (model, device) in ((each.model, each.device), ("", "")):
            return each
        if each.template == template and not each.model:
            return replace(each, model=model, device=device)
    return Measurement(template, model, device)


def _measured(
    spec: PoolSpec, seen: Observation, at: float | None, known: Measurement
) -> Measurement:
    passed = None if at is None else max(0.0, seen.now - at)
    pods = [pod for pod in seen.pods if pod.template == known.template]
    names = {pod.name for pod in pods}
    by_pod: dict[str, float] = defaultdict(float)
    for worker in seen.workers:
        if worker.pod in names:
            by_pod[worker.pod] += clean(worker.throughput)
    starts = [
        clean(pod.startup_seconds)
        for pod in pods
        if pod.state is PodState.READY and pod.startup_seconds is not None
    ]
    return Measurement(
        known.template,
        known.model,
        known.device,
        throughput=_settled_throughput(
            spec,
            seen,
            passed,
            _speed(known.throughput),
            _upper_median(map(_speed, by_pod.values())),
        ),
        startup_seconds=_settled_startup(
            passed, clean(known.startup_seconds), _upper_median(starts)
        ),
    )


def _settled_throughput(
    spec: PoolSpec, seen: Observation, passed: float | None, known: float, measured: float
) -> float:
    """Batches are not full under light load, so that a low figure says little then: it is used only
    while tasks wait, smoothed. Once half of the target is gone it counts at once.
    """
    if measured >= known or known == 0:
        return measured or known
    if measured == 0 or seen.queue.waiting == 0:
        return known
    if _is_late(spec, seen):
        return measured
    return known if passed is None else _falling(known, measured, passed, _THROUGHPUT_FALLS_SECONDS)


def _is_late(spec: PoolSpec, seen: Observation) -> bool:
    """The target is missed, or half gone: there has been enough work for full batches."""
    return seen.queue.oldest_wait_seconds > spec.scaling.target_wait_seconds / 2


def _settled_startup(passed: float | None, known: float, measured: float) -> float:
    """The median of the pods that there are; a slow one is remembered for a while."""
    if 0 < measured < known and passed is not None:
        return _falling(known, measured, passed, _STARTUP_FALLS_SECONDS)
    return measured or known


def _throughput(spec: PoolSpec, seen: Observation, current: Measurement) -> tuple[float, str]:
    """What a worker of the current template does, and where that is from if it was not measured."""
    if current.throughput > 0:
        speed, source = current.throughput, ""
    elif spec.throughput:
        speed, source = spec.throughput, "as spec.throughput says"
    else:
        model = current.model or seen.model
        device = current.device or (GPU if seen.gpu else CPU)
        speed = prior_throughput(model, device)
        source = f"assumed for {model or 'an unknown model'} on {device}"
    most = _most_without_a_batch(seen, current.template)
    if 0 < most < speed and _is_late(spec, seen):
        return most, "no batch is done yet"
    return speed, source


def _most_without_a_batch(seen: Observation, template: str) -> float:
    """What pods can be doing at most that had work for long and have not measured a batch yet.

    A pod whose workers have no throughput has not finished a batch since it became ready. If tasks
    have waited as long, it had work for all that time, and is slower than all that it holds in
    that time. 0 while nothing can be said, or one of the template's pods has measured itself.
    """
    holds: dict[str, float] = defaultdict(float)
    measured: set[str] = set()
    for worker in seen.workers:
        holds[worker.pod] += clean(worker.in_flight_seconds)
        if worker.throughput > 0:
            measured.add(worker.pod)
    mosts = []
    for pod in seen.pods:
        if pod.template != template or pod.state is not PodState.READY:
            continue
        if pod.name in measured:
            return 0.0
        worked = pod.age_seconds - (pod.startup_seconds or 0.0)
        worked = min(clean(worked), clean(seen.queue.oldest_wait_seconds))
        if pod.startup_seconds is not None and worked >= _FIRST_BATCH_SECONDS and holds[pod.name]:
            mosts.append(max(holds[pod.name] / worked, _LEAST_THROUGHPUT))
    return _upper_median(mosts)


def _startup(seen: Observation, current: Measurement, remembered: Iterable[Measurement]) -> float:
    """From a pod's creation to Ready.

    Before a pod of this template was ready: what the last template took, else what a worker says of
    loading its model, and never less than what the pods that start have taken already.
    """
    if current.startup_seconds > 0:
        return current.startup_seconds
    pods = [pod for pod in seen.pods if pod.template == current.template]
    names = {pod.name for pod in pods}
    loading = [clean(each.startup_seconds) for each in seen.workers if each.pod in names]
    so_far = [clean(pod.age_seconds) for pod in pods if pod.state is PodState.STARTING]
    last = next((clean(m.startup_seconds) for m in remembered if clean(m.startup_seconds)), 0.0)
    expected = last or _upper_median(loading) or ASSUMED_STARTUP_SECONDS
    return max(expected, *so_far, 0.0)


def _to_remember(
    now: Sequence[Measurement], before: Iterable[Measurement]
) -> tuple[Measurement, ...]:
    """The current template first, then those with pods, then what was remembered already."""
    templates = {each.template for each in now}
    found = [*now, *(each for each in before if each.template not in templates)]
    return tuple(each for each in found if each.throughput or each.startup_seconds)[
        :REMEMBERED_TEMPLATES
    ]


def _falling(known: float, measured: float, passed: float, seconds: float) -> float:
    return measured + (known - measured) * exp(-passed / seconds)


def _upper_median(values: Iterable[float]) -> float:
    """Of those above 0; 0 without any."""
    above = sorted(value for value in values if value > 0)
    return above[len(above) // 2] if above else 0.0

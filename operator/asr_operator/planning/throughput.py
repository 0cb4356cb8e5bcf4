"""Throughput and start-up time of a worker, from measurements. Pure.

A measurement belongs to one pod template and to the model and device that its pods reported. A new
template starts without one: its model, precision, limits or GPU may differ from the old one's.
Until its first batch is done the spec's `throughput` is used, else a low figure by model and device
(`prior`). Pods of an old template that still run keep their own speed. The figures of a few
templates are remembered for rollbacks.
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
# Time constants with which lower measurements are adopted; higher ones are used at once.
_THROUGHPUT_FALLS_SECONDS, _STARTUP_FALLS_SECONDS = 60.0, 300.0
_FIRST_BATCH_SECONDS = 30.0  # after this long with work, a fast worker has a measurement
_MOST = 1e12
_LEAST_THROUGHPUT, _MOST_THROUGHPUT = 1e-3, 1e9  # as in the spec; lower: not measured


@dataclass(frozen=True)
class Throughput:
    """The figures that the plan uses.

    `per_pod` is the audio-seconds per second of one pod of the current template; `source` says
    where it is from, and is empty if it was measured. `by_template` has the same figure of every
    template that has pods. `measurements` are to be remembered, the current template's first.
    """

    per_pod: float
    startup_seconds: float
    source: str
    by_template: Mapping[str, float]
    measurements: tuple[Measurement, ...]


def throughput_of(spec: PoolSpec, observation: Observation, history: History) -> Throughput:
    """Measured now, else remembered, else from the spec, else a prior. Never 0."""
    remembered = history.measurements or observation.measurements
    templates = dict.fromkeys([observation.template, *(pod.template for pod in observation.pods)])
    current, *others = [
        _measured(spec, observation, history.at, _remembered(remembered, observation, template))
        for template in templates
    ]
    per_pod, source = _throughput(spec, observation, current)
    by_template = {each.template: each.throughput or per_pod for each in others}
    return Throughput(
        per_pod=per_pod,
        startup_seconds=_startup(observation, current, remembered),
        source=source,
        by_template={**by_template, current.template: per_pod},
        measurements=_to_remember([current, *others], remembered),
    )


def clean(value: float) -> float:
    """`value` within 0 and a large finite number; 0 for NaN and infinity."""
    return min(max(value, 0.0), _MOST) if isfinite(value) else 0.0


def _speed(throughput: float) -> float:
    """A measurement within the bounds of the spec; 0 if it is below them."""
    speed = min(clean(throughput), _MOST_THROUGHPUT)
    return speed if speed >= _LEAST_THROUGHPUT else 0.0


def _remembered(
    known: Iterable[Measurement], observation: Observation, template: str
) -> Measurement:
    """The remembered measurement; an empty one if workers now report another model or device."""
    names = {pod.name for pod in observation.pods if pod.template == template}
    model, device = next(
        (
            (each.model, each.device)
            for each in observation.workers
            if each.pod in names and each.model
        ),
        ("", ""),
    )
    for each in known:
        if each.template == template and (model, device) in ((each.model, each.device), ("", "")):
            return each
        if each.template == template and not each.model:
            return replace(each, model=model, device=device)
    return Measurement(template, model, device)


def _measured(
    spec: PoolSpec, observation: Observation, at: float | None, known: Measurement
) -> Measurement:
    passed = None if at is None else max(0.0, observation.now - at)
    pods = [pod for pod in observation.pods if pod.template == known.template]
    names = {pod.name for pod in pods}
    by_pod: dict[str, float] = defaultdict(float)
    for worker in observation.workers:
        if worker.pod in names:
            by_pod[worker.pod] += clean(worker.throughput)
    starts = [
        clean(pod.startup_seconds - pod.fetch_seconds)
        for pod in pods
        if pod.state is PodState.READY and pod.startup_seconds is not None
    ]
    return Measurement(
        known.template,
        known.model,
        known.device,
        throughput=_smoothed_throughput(
            spec,
            observation,
            passed,
            _speed(known.throughput),
            _upper_median(map(_speed, by_pod.values())),
        ),
        startup_seconds=_smoothed_startup(
            passed, clean(known.startup_seconds), _upper_median(starts)
        ),
    )


def _smoothed_throughput(
    spec: PoolSpec, observation: Observation, passed: float | None, known: float, measured: float
) -> float:
    """A lower measurement is used only under backlog, smoothed exponentially, because batches are
    not full under light load. Once half of the target has passed it is used at once.
    """
    if measured >= known:
        return measured
    if measured == 0 or observation.queue.waiting == 0:
        return known
    if _is_late(spec, observation):
        return measured
    return known if passed is None else _decayed(known, measured, passed, _THROUGHPUT_FALLS_SECONDS)


def _is_late(spec: PoolSpec, observation: Observation) -> bool:
    """Half of the target has passed: there was enough work for full batches."""
    return observation.queue.oldest_wait_seconds > spec.scaling.target_wait_seconds / 2


def _smoothed_startup(passed: float | None, known: float, measured: float) -> float:
    """The median of the current pods; it falls slowly, smoothed exponentially."""
    if 0 < measured < known and passed is not None:
        return _decayed(known, measured, passed, _STARTUP_FALLS_SECONDS)
    return measured or known


def _throughput(
    spec: PoolSpec, observation: Observation, current: Measurement
) -> tuple[float, str]:
    """Throughput of a pod of the current template, and its source if it was not measured."""
    if current.throughput > 0:
        speed, source = current.throughput, ""
    elif spec.throughput:
        speed, source = spec.throughput, "as spec.throughput says"
    else:
        model = current.model or observation.model
        device = current.device or (GPU if observation.gpu else CPU)
        speed = prior_throughput(model, device)
        source = f"assumed for {model or 'an unknown model'} on {device}"
    most = _bound_without_batch(observation, current.template)
    if 0 < most < speed and _is_late(spec, observation):
        return most, "no batch is done yet"
    return speed, source


def _bound_without_batch(observation: Observation, template: str) -> float:
    """Upper bound of the throughput of pods that had work for long without completing a batch.

    A pod whose workers report no throughput has completed no batch since it became ready. If tasks
    have waited that long, it had work all the time, so it is slower than its audio in flight over
    that time. 0: no bound is known, or a pod of the template has a measurement.
    """
    in_flight_audio: dict[str, float] = defaultdict(float)
    measured: set[str] = set()
    for worker in observation.workers:
        in_flight_audio[worker.pod] += clean(worker.in_flight_seconds)
        if worker.throughput > 0:
            measured.add(worker.pod)
    bounds = []
    for pod in observation.pods:
        if pod.template != template or pod.state is not PodState.READY:
            continue
        if pod.name in measured:
            return 0.0
        worked = pod.age_seconds - (pod.startup_seconds or 0.0)
        worked = min(clean(worked), clean(observation.queue.oldest_wait_seconds))
        if (
            pod.startup_seconds is not None
            and worked >= _FIRST_BATCH_SECONDS
            and in_flight_audio[pod.name]
        ):
            bounds.append(max(in_flight_audio[pod.name] / worked, _LEAST_THROUGHPUT))
    return _upper_median(bounds)


def _startup(
    observation: Observation, current: Measurement, remembered: Iterable[Measurement]
) -> float:
    """Seconds from a pod's creation to Ready, without a download that later pods are spared.

    Before a pod of this template was ready: the figure of the last template, else the load time
    that a worker reports, and never less than the age of pods that are still starting.
    """
    if current.startup_seconds > 0:
        return current.startup_seconds
    pods = [pod for pod in observation.pods if pod.template == current.template]
    names = {pod.name for pod in pods}
    loading = [clean(each.startup_seconds) for each in observation.workers if each.pod in names]
    so_far = [
        clean(pod.age_seconds - pod.fetch_seconds) for pod in pods if pod.state is PodState.STARTING
    ]
    last = next((clean(m.startup_seconds) for m in remembered if clean(m.startup_seconds)), 0.0)
    expected = last or _upper_median(loading) or ASSUMED_STARTUP_SECONDS
    return max(expected, *so_far, 0.0)


def _to_remember(
    now: Sequence[Measurement], before: Iterable[Measurement]
) -> tuple[Measurement, ...]:
    """The current template first, then those with pods, then those remembered before."""
    templates = {each.template for each in now}
    found = [*now, *(each for each in before if each.template not in templates)]
    return tuple(each for each in found if each.throughput or each.startup_seconds)[
        :REMEMBERED_TEMPLATES
    ]


def _decayed(known: float, measured: float, passed: float, seconds: float) -> float:
    return measured + (known - measured) * exp(-passed / seconds)


def _upper_median(values: Iterable[float]) -> float:
    """Upper median of the values above 0; 0 without any."""
    above = sorted(value for value in values if value > 0)
    return above[len(above) // 2] if above else 0.0

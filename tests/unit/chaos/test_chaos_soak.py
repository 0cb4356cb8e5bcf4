from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos.findings import Findings
from chaos.soak import MIB, Sample, describe, judge_flat

Curve = Callable[[float], float]
MINUTES = 30


def run(
    *,
    worker: Curve = lambda t: 400,
    api: Curve = lambda t: 120,
    redis: Curve = lambda t: 10,
    rate: Curve = lambda t: 3.0,
    backlog: Curve = lambda t: 5,
) -> list[Sample]:
    """Half an hour of samples; curves take the share of the time, sizes are MiB."""
    samples, ended = [], 0.0
    count = MINUTES * 12
    for number in range(count):
        share = number / count
        ended += rate(share) * 5
        resident = {
            ("worker-1", 11): round(worker(share) * MIB),
            ("worker-2", 100 + int(share * 9)): 300 * MIB,  # killed now and then
            ("api-1", 12): round(api(share) * MIB),
            ("redis", 13): round(redis(share) * MIB),
        }
        data = round(redis(share) * MIB)
        samples.append(Sample(number * 5.0, resident, data, int(ended), int(backlog(share))))
    return samples


def broken(samples: list[Sample]) -> dict[str, list[str]]:
    findings = Findings()
    judge_flat(samples, findings)
    return findings.offenders()


def test_a_flat_soak_passes_though_a_worker_was_killed_again_and_again() -> None:
    assert broken(run()) == {}
    assert any("worker-1 resident" in line for line in describe(run()))
    assert not any("worker-2" in line for line in describe(run()))


def test_records_may_grow_in_redis_and_nothing_else() -> None:
    assert broken(run(redis=lambda t: 10 + 15 * t)) == {}  # 5,400 tasks of less than 3 KiB
    assert list(broken(run(redis=lambda t: 10 + 80 * t))) == ["redis"]


@pytest.mark.parametrize(
    ("curves", "offender"),
    [
        ({"worker": lambda t: 400 + 100 * t}, "worker-1"),
        ({"api": lambda t: 120 + 60 * t}, "api-1"),
        ({"rate": lambda t: 3.0 - 1.5 * t}, "rate"),
        ({"backlog": lambda t: 200 * t}, "backlog"),
    ],
)
def test_growth_and_fading_are_noticed(curves: dict[str, Curve], offender: str) -> None:
    assert list(broken(run(**curves))) == [offender]


def test_a_soak_of_a_minute_is_no_proof() -> None:
    assert list(broken(run()[:12])) == ["soak"]

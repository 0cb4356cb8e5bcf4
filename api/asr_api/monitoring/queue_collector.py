"""The last known backlog of each pool as gauges."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from asr_core.queue.backlog import Backlog


@dataclass(frozen=True, slots=True)
class _Seen:
    backlog: Backlog
    at_seconds: float


class QueueCollector(Collector):
    """Shows the last backlog of each pool; one that was not refreshed is absent, never zero.

    `asr_queue_up` says whether the other gauges of a pool are there. `clock` is in seconds.
    """

    _LANE_GAUGES = (
        ("waiting", "Tasks that wait for a worker, orphans and held ones among them"),
        ("in_flight", "Tasks that a live worker holds"),
        ("orphans", "Tasks of dead workers, to be claimed again"),
        ("held", "Tasks held back so that tenants share the lane"),
        ("audio_seconds", "Audio-seconds of everything open in this lane"),
    )
    _POOL_GAUGES = (
        ("oldest_wait_seconds", "How long the oldest task has waited"),
        ("delayed", "Tasks backing off before their next attempt"),
        ("delayed_due", "Tasks among these whose time has come"),
        ("dead", "Tasks among the dead letters"),
    )

    def __init__(
        self, *, stale_after_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stale_after_seconds = stale_after_seconds
        self._clock = clock
        self._seen: dict[str, _Seen | None] = {}

    def show(self, backlog: Backlog) -> None:
        """Keep a backlog that was just read."""
        self._seen[backlog.pool] = _Seen(backlog, self._clock())

    def signal_lost(self, pool: str) -> None:
        """Withdraw a pool's gauges: its backlog could not be read."""
        self._seen[pool] = None

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name the gauges before there is a backlog, so that the registry finds duplicates."""
        yield from self._families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges of every pool whose backlog is fresh."""
        up, *families = self._families()
        lane_gauges = families[: len(self._LANE_GAUGES)]
        pool_gauges = families[len(self._LANE_GAUGES) :]
        for pool, seen in list(self._seen.items()):
            fresh = (
                seen is not None and self._clock() - seen.at_seconds <= self._stale_after_seconds
            )
            up.add_metric([pool], float(fresh))
            if seen is None or not fresh:
                continue
            for gauge, (attribute, _) in zip(pool_gauges, self._POOL_GAUGES, strict=True):
                gauge.add_metric([pool], getattr(seen.backlog, attribute))
            for lane, counts in seen.backlog.lanes.items():
                for gauge, (attribute, _) in zip(lane_gauges, self._LANE_GAUGES, strict=True):
                    gauge.add_metric([pool, str(lane)], getattr(counts, attribute))
        yield from (up, *lane_gauges, *pool_gauges)

    def _families(self) -> list[GaugeMetricFamily]:
        up = GaugeMetricFamily("asr_queue_up", "1 if the backlog can be read", labels=["pool"])
        lanes = [
            GaugeMetricFamily(f"asr_queue_{name}", text, labels=["pool", "lane"])
            for name, text in self._LANE_GAUGES
        ]
        pools = [
            GaugeMetricFamily(f"asr_queue_{name}", text, labels=["pool"])
            for name, text in self._POOL_GAUGES
        ]
        return [up, *lanes, *pools]

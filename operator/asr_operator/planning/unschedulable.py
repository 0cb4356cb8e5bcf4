"""Pods that no node has room for: wait, then ask for less, then try again. Pure.

While a pod has no node, more are not asked for. A pod that has had none for longer than the
time-out is given up: replicas fall to what has a node, so that nothing lies in wait for a GPU that
somebody else needs. After another time-out it is tried again. One worker is always asked for while
a task waits.
"""

from __future__ import annotations

from dataclasses import replace

from asr_operator.planning.observation import History, Observation, PodState
from asr_operator.planning.spec import MOST_REPLICAS, PoolSpec

_LEAST_RETRY_SECONDS = 60.0


def with_shortage(spec: PoolSpec, seen: Observation, history: History) -> History:
    """Notes when to try again, as soon as a pod is given up."""
    timeout = spec.scaling.unschedulable_timeout_seconds
    if _overdue(spec, seen):
        return replace(history, capacity_retry_at=seen.now + max(timeout, _LEAST_RETRY_SECONDS))
    retry_at = history.capacity_retry_at
    if retry_at is not None and retry_at <= seen.now:
        return replace(history, capacity_retry_at=None)
    return history


def most_schedulable(spec: PoolSpec, seen: Observation, history: History, wanted: int) -> int:
    """The most replicas that there are nodes for, as far as is known."""
    if not _ages(seen) and history.capacity_retry_at is None:
        return MOST_REPLICAS
    least = max(spec.scaling.min_replicas, min(wanted, 1))
    return max(seen.replicas - _overdue(spec, seen), least)


def shortage(spec: PoolSpec, seen: Observation, history: History, wanted: int) -> str:
    """What is missing, in a sentence; nothing if nothing is."""
    ages, timeout = _ages(seen), spec.scaling.unschedulable_timeout_seconds
    if ages:
        return (
            f"{len(ages)} of {seen.replicas} pods cannot be scheduled, the oldest for "
            f"{max(ages):.0f} s; they are given up after {timeout:.0f} s"
        )
    if history.capacity_retry_at is not None and wanted > seen.replicas:
        return (
            f"the work asks for {wanted} workers, nodes were found for {seen.replicas}; more are "
            f"tried again in {history.capacity_retry_at - seen.now:.0f} s"
        )
    return ""


def given_up(spec: PoolSpec, seen: Observation) -> str:
    """Why pods are given up, in a sentence."""
    timeout = spec.scaling.unschedulable_timeout_seconds
    return (
        f"{_overdue(spec, seen)} pods could not be scheduled for over {timeout:.0f} s and are "
        f"given up; more are tried again in {max(timeout, _LEAST_RETRY_SECONDS):.0f} s"
    )


def _ages(seen: Observation) -> list[float]:
    return [pod.age_seconds for pod in seen.pods if pod.state is PodState.UNSCHEDULABLE]


def _overdue(spec: PoolSpec, seen: Observation) -> int:
    timeout = spec.scaling.unschedulable_timeout_seconds
    return sum(age > timeout for age in _ages(seen))

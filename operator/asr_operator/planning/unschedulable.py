"""Unschedulable pods: wait, then scale down, then retry. Pure.

While a pod is unschedulable, no more are requested. A pod that was unschedulable for longer than
the timeout is given up: replicas are reduced to what is scheduled, so that pending pods do not
compete for a GPU that others need. After another timeout more are requested again. At least one
worker is requested while a task waits.
"""

from __future__ import annotations

from dataclasses import replace

from asr_operator.planning.observation import History, Observation, PodState
from asr_operator.planning.spec import MOST_REPLICAS, PoolSpec

_LEAST_RETRY_SECONDS = 60.0


def with_capacity_retry(spec: PoolSpec, observation: Observation, history: History) -> History:
    """Sets when to retry once a pod is given up."""
    timeout = spec.scaling.unschedulable_timeout_seconds
    if _given_up_pods(spec, observation):
        return replace(
            history, capacity_retry_at=observation.now + max(timeout, _LEAST_RETRY_SECONDS)
        )
    retry_at = history.capacity_retry_at
    if retry_at is not None and retry_at <= observation.now:
        return replace(history, capacity_retry_at=None)
    return history


def most_schedulable(
    spec: PoolSpec, observation: Observation, history: History, wanted: int
) -> int:
    """The most replicas that can be scheduled, as far as is known."""
    if not _unschedulable_ages(observation) and history.capacity_retry_at is None:
        return MOST_REPLICAS
    least = max(spec.scaling.min_replicas, min(wanted, 1))
    return max(observation.replicas - _given_up_pods(spec, observation), least)


def unschedulable_message(
    spec: PoolSpec, observation: Observation, history: History, wanted: int
) -> str:
    """Missing capacity as a sentence; empty if none is missing."""
    ages, timeout = _unschedulable_ages(observation), spec.scaling.unschedulable_timeout_seconds
    if ages:
        return (
            f"{len(ages)} of {observation.replicas} pods cannot be scheduled, the oldest for "
            f"{max(ages):.0f} s; they are given up after {timeout:.0f} s"
        )
    if history.capacity_retry_at is not None and wanted > observation.replicas:
        retry_in = history.capacity_retry_at - observation.now
        return (
            f"the work asks for {wanted} workers, nodes were found for {observation.replicas}; "
            f"more are tried again in {retry_in:.0f} s"
        )
    return ""


def give_up_message(spec: PoolSpec, observation: Observation) -> str:
    """Why pods are given up, as a sentence."""
    timeout = spec.scaling.unschedulable_timeout_seconds
    return (
        f"{_given_up_pods(spec, observation)} pods could not be scheduled for over {timeout:.0f} s "
        f"and are given up; more are tried again in {max(timeout, _LEAST_RETRY_SECONDS):.0f} s"
    )


def _unschedulable_ages(observation: Observation) -> list[float]:
    return [pod.age_seconds for pod in observation.pods if pod.state is PodState.UNSCHEDULABLE]


def _given_up_pods(spec: PoolSpec, observation: Observation) -> int:
    timeout = spec.scaling.unschedulable_timeout_seconds
    return sum(age > timeout for age in _unschedulable_ages(observation))

"""Pods without a node: waited for, given up, tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from asr_operator.planning.observation import History, Observation
from asr_operator.planning.spec import MOST_REPLICAS, PoolSpec
from asr_operator.planning.unschedulable import (
    give_up_message,
    most_schedulable,
    unschedulable_message,
    with_capacity_retry,
)

PoolOf = Callable[..., PoolSpec]
See = Callable[..., Observation]


def test_a_pod_is_given_up_once_it_is_older_than_the_time_out(pool_of: PoolOf, see: See) -> None:
    spec = pool_of(unschedulableTimeoutSeconds=600)
    at_it, over = (see(5, nodeless=2, nodeless_seconds=age) for age in (600.0, 600.1))
    assert with_capacity_retry(spec, at_it, History()) == History()
    assert with_capacity_retry(spec, over, History()).capacity_retry_at == 1600.0
    assert most_schedulable(spec, at_it, History(), 9) == 5
    assert most_schedulable(spec, over, History(), 9) == 3
    assert give_up_message(spec, over).startswith("2 pods could not be scheduled for over 600 s")


def test_it_is_tried_again_after_the_time_out_but_no_sooner_than_a_minute(
    pool_of: PoolOf, see: See
) -> None:
    at_once = pool_of(unschedulableTimeoutSeconds=0)
    short = see(2, nodeless=1, nodeless_seconds=0.5)
    assert with_capacity_retry(at_once, short, History()).capacity_retry_at == 1060.0
    assert "tried again in 60 s" in give_up_message(at_once, short)
    waiting = History(capacity_retry_at=1060.0)
    assert with_capacity_retry(at_once, see(1, now=1059.0), waiting) == waiting
    assert with_capacity_retry(at_once, see(1, now=1060.0), waiting) == History()


def test_the_most_is_what_has_a_node_until_it_is_tried_again(pool_of: PoolOf, see: See) -> None:
    spec, retry = pool_of(), History(capacity_retry_at=1500.0)
    assert most_schedulable(spec, see(3), History(), 9) == MOST_REPLICAS
    assert most_schedulable(spec, see(3), retry, 9) == 3
    assert most_schedulable(spec, see(3, nodeless=1), History(), 9) == 3


def test_one_worker_is_always_asked_for_while_work_is_wanted_and_the_least_that_is_set(
    pool_of: PoolOf, see: See
) -> None:
    alone = see(1, nodeless=1, nodeless_seconds=9e3)
    assert most_schedulable(pool_of(), alone, History(), 5) == 1
    assert most_schedulable(pool_of(), alone, History(), 0) == 0
    all_of_them = see(4, nodeless=4, nodeless_seconds=9e3)
    assert most_schedulable(pool_of(minReplicas=2), all_of_them, History(), 5) == 2


def test_what_is_missing_is_told_with_its_numbers(pool_of: PoolOf, see: See) -> None:
    spec, retry = pool_of(), History(capacity_retry_at=1500.0)
    seen = see(5, nodeless=2, nodeless_seconds=40.0)
    older = replace(seen.pods[-1], age_seconds=70.0)
    seen = replace(seen, pods=(*seen.pods[:-1], older))
    assert unschedulable_message(spec, seen, History(), 9) == (
        "2 of 5 pods cannot be scheduled, the oldest for 70 s; they are given up after 600 s"
    )
    blocked = unschedulable_message(spec, see(3), retry, 4)
    assert blocked == (
        "the work asks for 4 workers, nodes were found for 3; more are tried again in 500 s"
    )
    assert unschedulable_message(spec, see(3), retry, 3) == ""
    assert unschedulable_message(spec, see(3), History(), 9) == ""

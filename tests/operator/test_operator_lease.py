"""One Lease, two operators: never both."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from asr_core.errors import ClusterUnavailable
from asr_operator.cluster import rest_client
from asr_operator.cluster.leader_election import LEASE_NAME, Lease
from asr_operator.cluster.rest_client import Kube, path
from asr_operator.reconcile.reconciler import PoolReconciler
from cluster_lab import Scene
from cluster_lab.objects import Refused

pytestmark = pytest.mark.asyncio


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Two:
    """Two operators with clocks of their own, far apart."""

    api: Kube
    namespace: str
    clock: Clock = field(default_factory=Clock)
    other_clock: Clock = field(default_factory=lambda: Clock(5.0))

    def __post_init__(self) -> None:
        self.first = Lease(self.api, self.namespace, "first", clock=self.clock)
        self.second = Lease(self.api, self.namespace, "second", clock=self.other_clock)

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.other_clock.now += seconds

    async def spec(self) -> rest_client.Json:
        url = path(rest_client.COORDINATION, self.namespace, "leases", LEASE_NAME)
        spec: rest_client.Json = (await self.api.get(url))["spec"]
        return spec


@pytest.fixture
def two(scene: Scene) -> Two:
    return Two(scene.admin, scene.namespace)


async def test_the_second_waits_while_the_first_renews(two: Two) -> None:
    await two.first.attempt()
    for _ in range(20):
        two.wait(3)
        await two.first.attempt()
        await two.second.attempt()
        assert two.first.held
        assert not two.second.held
    spec = await two.spec()
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("first", 0)


async def test_the_second_takes_over_once_the_first_is_silent_and_never_earlier(two: Two) -> None:
    await two.first.attempt()
    await two.second.attempt()
    for _ in range(5):
        two.wait(3)
        await two.second.attempt()
        assert not two.second.held
    assert not two.first.held, "the first has stopped acting before the second may begin"
    two.wait(1)
    await two.second.attempt()
    assert two.second.held
    spec = await two.spec()
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)


async def test_a_holder_that_comes_back_late_does_not_act(two: Two) -> None:
    await two.first.attempt()
    await two.second.attempt()
    two.wait(16)
    await two.second.attempt()
    assert two.second.held
    await two.first.attempt()
    assert not two.first.held
    assert (await two.spec())["holderIdentity"] == "second"


async def test_of_two_who_try_at_once_one_gets_it(two: Two) -> None:
    """Both have read the same record; the version decides."""
    await two.first.attempt()
    stale = await two.api.find(path(rest_client.COORDINATION, two.namespace, "leases", LEASE_NAME))
    two.wait(3)
    await two.first.attempt()
    assert stale is not None
    await two.second._write(stale, two.other_clock(), {})
    assert not two.second.held
    assert (await two.spec())["holderIdentity"] == "first"


async def test_what_was_released_is_taken_at_once(two: Two) -> None:
    await two.first.attempt()
    await two.second.attempt()
    await two.first.release()
    assert not two.first.held
    await two.second.attempt()
    assert two.second.held


async def test_a_renewal_under_way_does_not_keep_it_from_being_released(two: Two) -> None:
    """The program was told to end while the reply of the renewal was on its way."""
    await two.first.attempt()
    await two.second.attempt()
    renewed = {"spec": {"renewTime": rest_client.micro_time()}}
    await two.api.patch(
        path(rest_client.COORDINATION, two.namespace, "leases", LEASE_NAME), renewed
    )
    await two.first.release()
    await two.second.attempt()
    assert two.second.held


async def test_what_another_one_has_taken_is_not_released(two: Two) -> None:
    await two.first.attempt()
    taken = {"spec": {"holderIdentity": "second"}}
    await two.api.patch(path(rest_client.COORDINATION, two.namespace, "leases", LEASE_NAME), taken)
    await two.first.release()
    assert (await two.spec())["holderIdentity"] == "second"


async def test_without_an_api_server_the_right_to_act_runs_out(two: Two, scene: Scene) -> None:
    if scene.fake is None:
        pytest.skip("a real API server is not taken away")
    await two.first.attempt()
    scene.fake.refuse = lambda _: Refused(503, "Unavailable", "etcd is away")
    for _ in range(3):
        two.wait(3)
        with pytest.raises(ClusterUnavailable, match="etcd is away"):
            await two.first.attempt()
    assert two.first.held
    two.wait(2)
    assert not two.first.held
    scene.fake.refuse = lambda _: None
    await two.first.attempt()
    assert two.first.held


async def test_a_lease_that_was_deleted_is_made_again(two: Two, scene: Scene) -> None:
    await two.first.attempt()
    await scene.admin.delete(path(rest_client.COORDINATION, scene.namespace, "leases", LEASE_NAME))
    await two.first.attempt()
    assert two.first.held


GONE = Refused(403, "Forbidden", "leases is forbidden: the Role was deleted")


async def test_rights_that_go_before_the_program_does_are_no_warning(
    two: Two, scene: Scene
) -> None:
    """`helm uninstall` deletes the Role a moment before the pod ends."""
    if scene.fake is None:
        pytest.skip("the role of a real cluster is not changed")
    await two.first.attempt()
    scene.fake.refuse = lambda _: GONE
    with capture_logs() as logs:
        await two.first.release()
    assert [each["log_level"] for each in logs] == ["info"]
    assert not two.first.held


async def test_one_refused_tick_is_no_warning_a_second_is(
    scene: Scene, loop: PoolReconciler
) -> None:
    if scene.fake is None:
        pytest.skip("the role of a real cluster is not changed")
    await scene.deployment()
    await scene.pool()
    scene.fake.refuse = lambda _: GONE
    with capture_logs() as logs:
        for count in (0, 1, 1):
            with pytest.raises(ClusterUnavailable) as refused:
                await loop.tick()
            loop._record_error(refused.value)
            assert [each["event"] for each in logs] == ["tick failed"] * count

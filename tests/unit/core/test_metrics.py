import pytest
from prometheus_client import CollectorRegistry, generate_latest

from asr_api.monitoring.metrics import ApiMetrics
from asr_api.monitoring.queue_collector import QueueCollector
from asr_core.queue.backlog import Backlog, LaneBacklog
from asr_core.task import Lane
from asr_worker.metrics import WorkerMetrics


def backlog(pool: str = "default", *, waiting: int = 7) -> Backlog:
    return Backlog(
        pool=pool,
        signal="ok",
        run_id="r",
        trusted=True,
        waiting=waiting,
        in_flight=2,
        orphans=1,
        held=3,
        delayed=4,
        delayed_due=1,
        dead=5,
        audio_seconds=360.5,
        oldest_wait_seconds=12.5,
        lanes={
            Lane.NORMAL: LaneBacklog(
                waiting=waiting, in_flight=2, orphans=1, held=3, audio_seconds=360.5
            )
        },
    )


class Clock:
    now_seconds = 1000.0

    def __call__(self) -> float:
        return self.now_seconds


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_two_sets_of_metrics_live_side_by_side() -> None:
    first, second = ApiMetrics(CollectorRegistry()), ApiMetrics(CollectorRegistry())
    first.upload_bytes.inc(10)
    assert first.registry.get_sample_value("asr_upload_bytes_total") == 10
    assert second.registry.get_sample_value("asr_upload_bytes_total") == 0


def test_metrics_have_the_documented_names_and_labels(registry: CollectorRegistry) -> None:
    api, metrics = ApiMetrics(registry), WorkerMetrics(registry)
    api.http_requests.labels(method="GET", route="/health", status="200").inc()
    api.http_request_duration_seconds.labels(method="GET", route="/health").observe(0.01)
    api.tasks_submitted.labels(lane="normal").inc()
    metrics.tasks_finished.labels(state="completed").inc()
    metrics.task_wait_seconds.observe(4000)
    metrics.task_duration_seconds.observe(4)
    metrics.stage_duration_seconds.labels(stage="decode").observe(0.2)
    metrics.audio_seconds.inc(30)
    metrics.speech_seconds.inc(20)
    metrics.batch_fill_ratio.observe(0.93)
    metrics.worker_busy.set(1)
    metrics.leases_lost.inc()
    metrics.fenced_results.inc()
    value = registry.get_sample_value
    labels = {"method": "GET", "route": "/health"}
    assert value("asr_http_requests_total", {**labels, "status": "200"}) == 1
    assert value("asr_http_request_duration_seconds_sum", labels) == 0.01
    assert value("asr_tasks_submitted_total", {"lane": "normal"}) == 1
    assert value("asr_tasks_finished_total", {"state": "completed"}) == 1
    assert value("asr_stage_duration_seconds_count", {"stage": "decode"}) == 1
    assert value("asr_stage_duration_seconds_sum", {"stage": "decode"}) == 0.2
    assert value("asr_task_wait_seconds_sum") == 4000
    assert value("asr_task_duration_seconds_sum") == 4
    assert value("asr_batch_fill_ratio_sum") == 0.93
    assert value("asr_audio_seconds_total") == 30
    assert value("asr_speech_seconds_total") == 20
    assert value("asr_leases_lost_total") == 1
    assert value("asr_fenced_results_total") == 1
    assert value("asr_worker_busy") == 1


def test_a_wait_of_hours_falls_into_a_bucket_of_its_own(registry: CollectorRegistry) -> None:
    metrics = WorkerMetrics(registry)
    metrics.task_wait_seconds.observe(5 * 3600)
    value = registry.get_sample_value
    assert value("asr_task_wait_seconds_bucket", {"le": "14400.0"}) == 0
    assert value("asr_task_wait_seconds_bucket", {"le": "28800.0"}) == 1


def test_a_backlog_becomes_gauges_of_its_pool_and_lanes(registry: CollectorRegistry) -> None:
    collector = QueueCollector()
    registry.register(collector)
    collector.show(backlog("default"))
    collector.show(backlog("large", waiting=0))
    value = registry.get_sample_value
    lane = {"pool": "default", "lane": "normal"}
    assert value("asr_queue_up", {"pool": "default"}) == 1
    assert value("asr_queue_waiting", lane) == 7
    assert value("asr_queue_in_flight", lane) == 2
    assert value("asr_queue_orphans", lane) == 1
    assert value("asr_queue_held", lane) == 3
    assert value("asr_queue_audio_seconds", lane) == 360.5
    assert value("asr_queue_oldest_wait_seconds", {"pool": "default"}) == 12.5
    assert value("asr_queue_delayed", {"pool": "default"}) == 4
    assert value("asr_queue_delayed_due", {"pool": "default"}) == 1
    assert value("asr_queue_dead", {"pool": "default"}) == 5
    assert value("asr_queue_waiting", {"pool": "large", "lane": "normal"}) == 0


def test_a_backlog_that_cannot_be_read_is_absent_and_not_zero(registry: CollectorRegistry) -> None:
    collector = QueueCollector()
    registry.register(collector)
    collector.show(backlog())
    collector.signal_lost("default")
    assert registry.get_sample_value("asr_queue_up", {"pool": "default"}) == 0
    assert b"asr_queue_waiting{" not in generate_latest(registry)
    collector.show(backlog())
    assert registry.get_sample_value("asr_queue_up", {"pool": "default"}) == 1


def test_a_backlog_that_nobody_refreshes_goes_away(registry: CollectorRegistry) -> None:
    clock = Clock()
    collector = QueueCollector(stale_after_seconds=60, clock=clock)
    registry.register(collector)
    collector.show(backlog())
    clock.now_seconds += 61
    assert registry.get_sample_value("asr_queue_up", {"pool": "default"}) == 0
    assert b"asr_queue_dead{" not in generate_latest(registry)


def test_the_same_queue_is_not_shown_twice_on_one_registry(registry: CollectorRegistry) -> None:
    registry.register(QueueCollector())
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(QueueCollector())

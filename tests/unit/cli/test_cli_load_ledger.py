from __future__ import annotations

from asr_cli.load.ledger import Ledger, LostTask, TaskEnd
from asr_cli.load.plan import LoadPlan
from asr_cli.load.problem import Problem
from asr_cli.load.report import Course, Report, Target, build_report

DONE = TaskEnd("completed", audio_seconds=12.0, wait_seconds=0.5, processing_seconds=1.5)
AWAY = Problem("result", "connect")
TARGET = Target("http://asr.test", "0.1.0", 2, ("embedded on cpu",), "normal", "default", ("a",))


def accepted(*task_ids: str) -> Ledger:
    ledger = Ledger()
    for task_id in task_ids:
        ledger.submit(f"key-{task_id}")
        ledger.accept(f"key-{task_id}", task_id, 0.1)
    return ledger


def report(ledger: Ledger, load_seconds: float = 10.0) -> Report:
    course = Course("2026-01-01T00:00:00+00:00", load_seconds, drain_seconds=1.0)
    return build_report(ledger, TARGET, LoadPlan(4, 10.0), course)


def test_every_submission_and_every_accepted_task_is_counted_in_exactly_one_place() -> None:
    ledger = accepted("a", "b", "c", "d")
    for key in ("rejected", "unknown"):
        ledger.submit(key)
    ledger.reject("rejected")
    ledger.end("a", DONE, 2.0, in_time=True)
    ledger.end("b", TaskEnd("failed", "unreadable_audio"), 1.0, in_time=True)
    ledger.end("c", TaskEnd("cancelled"), 1.0, in_time=True)
    ledger.close(cut_short=False)
    counts = report(ledger).counts
    assert counts.submitted == 6 == counts.accepted + counts.rejected + counts.unknown
    assert (counts.accepted, counts.rejected, counts.unknown) == (4, 1, 1)
    ends = (counts.completed, counts.failed, counts.cancelled, counts.lost, counts.unfinished)
    assert ends == (1, 1, 1, 1, 0)
    assert report(ledger).failures == {"unreadable_audio": 1}
    assert report(ledger).unknown_keys == ("unknown",)


def test_what_has_no_end_when_the_drain_is_over_is_lost_with_what_was_last_known() -> None:
    ledger = accepted("a", "b", "c")
    ledger.see("a", "processing")
    ledger.problem(AWAY, "b")
    ledger.problem(AWAY, "c")
    ledger.see("c", "queued")
    ledger.close(cut_short=False)
    assert ledger.lost == [
        LostTask("a", "no final state", "processing"),
        LostTask("b", "no final state; result: connect", "queued"),
        LostTask("c", "no final state", "queued"),
    ]


def test_a_drain_that_was_cut_short_loses_nothing() -> None:
    ledger = accepted("a")
    ledger.close(cut_short=True)
    counts = report(ledger).counts
    assert (counts.lost, counts.unfinished) == (0, 1)
    assert report(ledger).unfinished == ("a",)


def test_in_flight_are_submissions_under_way_and_tasks_without_an_end() -> None:
    ledger = accepted("a", "b")
    ledger.submit("c")
    assert ledger.in_flight == 3
    ledger.end("a", DONE, 2.0, in_time=True)
    ledger.lose("b", "gone")
    ledger.reject("c")
    assert ledger.in_flight == 0


def test_throughput_is_of_what_completed_while_load_was_offered() -> None:
    ledger = accepted("a", "b", "c")
    ledger.end("a", DONE, 2.0, in_time=True)
    ledger.end("b", DONE, 2.0, in_time=True)
    ledger.end("c", DONE, 60.0, in_time=False)
    told = report(ledger, load_seconds=4.0)
    assert told.counts.completed == 3
    assert told.tasks_per_second == 0.5
    assert told.audio_seconds_per_second == 6.0
    assert told.latencies.total.max == 60.0


def test_latencies_are_those_of_completed_tasks() -> None:
    ledger = accepted("a", "b")
    ledger.end("a", DONE, 2.0, in_time=True)
    ledger.end("b", TaskEnd("failed", wait_seconds=100.0), 200.0, in_time=True)
    latencies = report(ledger).latencies
    assert (latencies.submit.count, latencies.submit.max) == (2, 0.1)
    assert (latencies.wait.count, latencies.wait.max) == (1, 0.5)
    assert (latencies.processing.count, latencies.processing.max) == (1, 1.5)
    assert (latencies.total.count, latencies.total.max) == (1, 2.0)


def test_errors_are_told_by_kind_the_most_frequent_first() -> None:
    ledger = Ledger()
    full = Problem("submit", "http", 429, "queue_full")
    for problem in (AWAY, full, full):
        ledger.problem(problem)
    assert report(ledger).as_json()["errors"] == [
        {"request": "submit", "kind": "http", "status": 429, "code": "queue_full", "count": 2},
        {"request": "result", "kind": "connect", "status": None, "code": "", "count": 1},
    ]


def test_a_run_that_was_ended_at_once_has_a_report() -> None:
    told = report(Ledger(), load_seconds=0.0)
    assert told.tasks_per_second == 0.0
    assert told.latencies.total.p50 is None


def test_throughput_is_told_to_a_thousandth() -> None:
    ledger = accepted("a")
    ledger.end("a", DONE, 2.0, in_time=True)
    told = report(ledger, load_seconds=7.0)
    assert (told.tasks_per_second, told.audio_seconds_per_second) == (0.143, 1.714)


def test_a_run_is_good_if_something_was_completed_and_nothing_lost() -> None:
    good, idle, lost = accepted("a"), Ledger(), accepted("a", "b")
    good.end("a", DONE, 2.0, in_time=True)
    lost.end("a", DONE, 2.0, in_time=True)
    lost.lose("b", "gone")
    all_lost = accepted("a")
    all_lost.close(cut_short=False)
    verdicts = [report(each).accounted_for for each in (good, idle, lost, all_lost)]
    assert verdicts == [True, False, False, False]


def test_json_names_its_schema_the_plan_and_the_course() -> None:
    told = report(Ledger()).as_json()
    assert told["schema"] == 1
    assert told["plan"]["mode"] == "closed"
    assert told["course"] == {
        "started_at": "2026-01-01T00:00:00+00:00", "load_seconds": 10.0, "drain_seconds": 1.0,
        "unsent": 0, "interrupted": False, "deleted": None,
    }  # fmt: skip


def test_a_task_of_which_the_server_says_little_has_no_audio_and_no_times() -> None:
    ledger = accepted("a")
    ledger.end("a", TaskEnd("completed"), 2.0, in_time=True)
    told = report(ledger)
    assert (told.tasks_per_second, told.audio_seconds_per_second) == (0.1, 0.0)
    assert (told.latencies.wait.count, told.latencies.processing.count) == (0, 0)


def test_tasks_ask_again_and_stay_open_until_they_end() -> None:
    ledger = accepted("a")
    ledger.ask_again()
    ledger.ask_again()
    assert (ledger.asked_again, ledger.in_flight, ledger.errors) == (2, 1, 0)

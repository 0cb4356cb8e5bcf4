"""A harness that cannot fail proves nothing: each check is shown one case that breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_core.queue import Backlog, Totals
from chaos.checks import Case, Expected, judge
from chaos.clips import Clip
from chaos.evidence import Evidence
from chaos.ledger import Event, Ledger, Order
from chaos.programs import Life, Program
from chaos.watch import Orphan

GOOD = Clip("good.wav", b"")
DOOMED = Clip("doomed.wav", b"", doomed=True)
ANSWER = json.dumps({"text": "good morning"})


def completed(task_id: str) -> dict[str, str]:
    result = f"results/{task_id}/1.json"
    return {"state": "completed", "result": result, "error_code": "", "transient_failures": "0"}


def make_case() -> Case:
    """Three orders: one completed, one failed as it must, one deleted."""
    ledger = Ledger()
    for task_id, clip in {"one": GOOD, "bad": DOOMED, "gone": GOOD}.items():
        ledger.add(Order(f"key-{task_id}", clip, "normal", accepted_ids={task_id}))
        end = {"one": "completed 1", "bad": "failed 0", "gone": "cancelled 0"}[task_id]
        ledger.changes[task_id] = [Event(1.0, "queued 0"), Event(2.0, end)]
    ledger.orders["key-gone"].deleted = True
    ledger.orders["key-one"].seen_result = ANSWER
    failed = {**completed("bad"), "state": "failed", "error_code": "unreadable_audio", "result": ""}
    evidence = Evidence(
        tasks={"one": completed("one"), "bad": failed},
        totals=Totals(3, 1, 1, 1, 0.0, 0.0),
        totals_of_tenants=Totals(3, 1, 1, 1, 0.0, 0.0),
        backlog=Backlog("default", "ok", "", True, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, {}),
        leftovers={"asr_tasks": 0},
        blobs={"epoch", "audio/one", "audio/bad", "results/one/1.json"},
        answers={"one": ANSWER},
        stored={"one": ANSWER},
        reconciled=[{"readded": 0, "corrected": 0}] * 2,
        swept={"deleted": 0},
    )
    program = Program("worker-1", (), {}, Path(), Path(), lives=[Life(1, 0.0, 1.0, -9, True)])
    return Case(
        ledger=ledger,
        evidence=evidence,
        expected={
            "good.wav": Expected("good morning"),
            "doomed.wav": Expected("", "unreadable_audio"),
        },
        orphans=[Orphan("one", "t", "worker-1", 1, 0.0, waited_seconds=39.0, claimed_at=39.0)],
        programs=[program],
        left_behind=[],
        lease_seconds=30.0,
        mended_by_reconcile=False,
    )


def broken(case: Case) -> set[str]:
    return {check.says for check in judge(case).checks if not check.holds}


def test_a_platform_that_kept_its_promise_passes_every_check() -> None:
    findings = judge(make_case())
    assert findings.hold, findings.offenders()


def set_task(**changes: str) -> Callable[[Case], Any]:
    return lambda case: case.evidence.tasks["one"].update(changes)


BREAKAGES: dict[str, tuple[str, Callable[[Case], Any]]] = {
    "an order that was refused": (
        "every order was accepted in the end",
        lambda c: setattr(c.ledger.orders["key-one"], "refused", "500"),
    ),
    "a task that Redis forgot": (
        "every 202 is terminal (lost = 0)",
        lambda c: c.evidence.tasks.pop("one"),
    ),
    "a task that never ends": (
        "every 202 is terminal (lost = 0)",
        set_task(state="queued"),
    ),
    "a deleted task that is back": (
        "what was deleted is gone",
        lambda c: c.evidence.tasks.update(gone=completed("gone")),
    ),
    "two ids for one key": (
        "one idempotency key, one id",
        lambda c: c.ledger.orders["key-one"].accepted_ids.add("two"),
    ),
    "a task that nobody was told of": (
        "no task that no client knows",
        lambda c: c.evidence.tasks.update(ghost={**completed("ghost"), "idempotency_key": "k"}),
    ),
    "an ending too many in the totals": (
        "no task ended twice",
        lambda c: setattr(c.evidence, "totals", Totals(3, 2, 1, 1, 0.0, 0.0)),
    ),
    "a task that was said to be completed twice": (
        "no task ended twice",
        lambda c: c.ledger.changes["one"].append(Event(3.0, "completed 1")),
    ),
    "a wrong text": (
        "good audio has the right text",
        lambda c: c.evidence.answers.update(one=json.dumps({"text": "good night"})),
    ),
    "good audio that failed": (
        "good audio has the right text",
        set_task(state="failed", error_code="worker_crashed"),
    ),
    "an answer that is not what the store holds": (
        "good audio has the right text",
        lambda c: c.evidence.stored.update(one="{}"),
    ),
    "a permanent failure that was retried": (
        "audio that must fail failed once, with its code",
        lambda c: c.evidence.tasks["bad"].update(transient_failures="2"),
    ),
    "another error code": (
        "audio that must fail failed once, with its code",
        lambda c: c.evidence.tasks["bad"].update(error_code="internal_error"),
    ),
    "a second result object": (
        "one result object per completed task",
        lambda c: c.evidence.blobs.add("results/one/2.json"),
    ),
    "a result that is not there": (
        "one result object per completed task",
        lambda c: c.evidence.blobs.remove("results/one/1.json"),
    ),
    "a result that changed after it was seen": (
        "a result once seen is the result at the end",
        lambda c: setattr(c.ledger.orders["key-one"], "seen_result", "{}"),
    ),
    "a blob of a deleted task": (
        "no orphaned blob after the sweep",
        lambda c: c.evidence.blobs.add("audio/gone"),
    ),
    "a sweep that refused": (
        "no orphaned blob after the sweep",
        lambda c: c.evidence.swept.update(failed="sweep_refused"),
    ),
    "audio that is gone": (
        "the audio of every ended task is there",
        lambda c: c.evidence.blobs.remove("audio/bad"),
    ),
    "an entry left in the stream": (
        "nothing stands in the queue",
        lambda c: c.evidence.leftovers.update(asr_tasks=1),
    ),
    "a counter that reconcile corrects": (
        "reconcile finds nothing to mend",
        lambda c: c.evidence.reconciled.append({"readded": 0, "corrected": 1}),
    ),
    "a tenant's counter that reconcile corrects": (
        "reconcile finds nothing to mend",
        lambda c: c.evidence.reconciled.append({"readded": 0, "tenants_recounted": 1}),
    ),
    "a task that its tenant's totals lack": (
        "no task ended twice",
        lambda c: setattr(c.evidence, "totals_of_tenants", Totals(2, 1, 0, 1, 0.0, 0.0)),
    ),
    "an orphan claimed late while a worker was free": (
        "orphans were claimed in time",
        lambda c: setattr(c.orphans[0], "waited_seconds", 40.5),
    ),
    "an orphan never claimed": (
        "orphans were claimed in time",
        lambda c: setattr(c.orphans[0], "claimed_at", None),
    ),
    "a program that died by itself": (
        "no program died by itself",
        lambda c: c.programs[0].lives.append(Life(2, 1.0, 2.0, 70)),
    ),
    "a decoder that outlives its worker": (
        "no child outlives its program",
        lambda c: c.left_behind.append("4711 decoder"),
    ),
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_a_broken_promise_is_noticed(what: str) -> None:
    says, break_it = BREAKAGES[what]
    case = make_case()
    break_it(case)
    assert says in broken(case)


def test_what_a_deleted_stream_leaves_is_mended_by_the_first_reconcile_alone() -> None:
    case = make_case()
    mended = Case(**{**case.__dict__, "mended_by_reconcile": True})
    case.evidence.reconciled[:] = [{"readded": 3, "corrected": 1}, {"readded": 0, "corrected": 0}]
    assert "reconcile finds nothing to mend" in broken(case)
    assert broken(mended) == set()
    case.evidence.reconciled.append({"readded": 1, "corrected": 0})
    assert "reconcile finds nothing to mend" in broken(mended)

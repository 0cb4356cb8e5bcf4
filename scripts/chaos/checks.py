"""The promise, check by check: pure judgement of what was recorded and what is there."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from asr_core.task import State, audio_path
from chaos.evidence import Evidence
from chaos.findings import Findings
from chaos.ledger import Ledger, Order
from chaos.programs import Program
from chaos.watch import Orphan

Offences = Iterator[tuple[str, str]]
CLAIM_MARGIN_SECONDS = 10.0


@dataclass(frozen=True)
class Expected:
    """What a clip gives when nothing disturbs: a text, or an error code."""

    text: str = ""
    error_code: str = ""

    @staticmethod
    def text_of(answer: str) -> str:
        """The words of a transcript in JSON; what is none is given back as it is."""
        try:
            return str(json.loads(answer)["text"])
        except (ValueError, KeyError, TypeError):
            return answer


@dataclass(frozen=True)
class Case:
    """Everything that is judged."""

    ledger: Ledger
    evidence: Evidence
    expected: Mapping[str, Expected]
    orphans: list[Orphan]
    programs: list[Program]
    left_behind: list[str]
    lease_seconds: float
    mended_by_reconcile: bool

    @property
    def kept(self) -> list[Order]:
        """Orders that were accepted and not deleted by us."""
        return [order for order in self.ledger.accepted if not order.deleted]

    def task(self, order: Order) -> dict[str, str]:
        return self.evidence.tasks.get(order.task_id, {})

    def in_state(self, state: State) -> list[Order]:
        return [order for order in self.kept if self.task(order).get("state") == state]


def judge(case: Case) -> Findings:
    """All checks."""
    findings = Findings()
    ledger, evidence = case.ledger, case.evidence
    orders = list(ledger.orders.values())
    accepted = ledger.accepted
    findings.add("every order was accepted in the end", len(orders), _refused(orders))
    findings.add("every 202 is terminal (lost = 0)", len(accepted), _lost(case))
    findings.add("what was deleted is gone", len(accepted) - len(case.kept), _undead(case))
    findings.add("one idempotency key, one id", len(accepted), _ambiguous(accepted))
    findings.add("no task that no client knows", len(evidence.tasks), _strangers(case))
    findings.add("no task ended twice", evidence.totals.submitted, _ended_twice(case))
    completed, failed = case.in_state(State.COMPLETED), case.in_state(State.FAILED)
    findings.add("good audio has the right text", len(completed), _wrong_texts(case))
    findings.add(
        "audio that must fail failed once, with its code", len(failed), _wrong_failures(case)
    )
    findings.add("one result object per completed task", len(completed), _wrong_blobs(case))
    seen = sum(1 for order in completed if order.seen_result)
    findings.add("a result once seen is the result at the end", seen, _changed_results(case))
    findings.add("no orphaned blob after the sweep", len(evidence.blobs), _orphaned_blobs(case))
    findings.add("the audio of every ended task is there", len(case.kept), _missing_audio(case))
    findings.add("nothing stands in the queue", len(evidence.leftovers), _leftovers(case))
    findings.add("reconcile finds nothing to mend", len(evidence.reconciled), _mended(case))
    strict = sum(1 for orphan in case.orphans if not orphan.excused)
    findings.add("orphans were claimed in time", strict, _late(case))
    findings.add("no program died by itself", len(case.programs), _died(case))
    findings.add(
        "no child outlives its program", 1, ((name, "is still there") for name in case.left_behind)
    )
    return findings


def _refused(orders: list[Order]) -> Offences:
    for order in orders:
        if order.refused or not order.accepted_ids:
            yield order.task_id or order.key, order.refused or "never accepted"


def _lost(case: Case) -> Offences:
    for order in case.kept:
        state = case.task(order).get("state", "unknown to Redis")
        if state not in (State.COMPLETED, State.FAILED):
            yield order.task_id, state


def _undead(case: Case) -> Offences:
    for order in case.ledger.accepted:
        if order.deleted and case.task(order).get("state"):
            yield order.task_id, f"is {case.task(order)['state']}"


def _ambiguous(orders: list[Order]) -> Offences:
    for order in orders:
        if len(order.accepted_ids) != 1:
            yield order.task_id, f"{order.key} got {sorted(order.accepted_ids)}"


def _strangers(case: Case) -> Offences:
    known = {task_id for order in case.ledger.accepted for task_id in order.accepted_ids}
    for task_id, values in case.evidence.tasks.items():
        if task_id not in known:
            yield task_id, f"{values['state']}, key {values['idempotency_key']}"


def _ended_twice(case: Case) -> Offences:
    """Every task that was ever made ended once: completed, failed, or cancelled by a deletion."""
    totals = case.evidence.totals
    ended = totals.completed + totals.failed + totals.cancelled
    open_now = sum(1 for order in case.kept if not _is_over(case.task(order)))
    if totals.submitted != ended + open_now:
        yield "totals", f"{totals.submitted} submitted, {ended} endings, {open_now} open"
    if case.evidence.totals_of_tenants != totals:
        yield "totals of tenants", f"{case.evidence.totals_of_tenants}, together {totals}"
    if totals.submitted != len(case.ledger.accepted):
        yield "submitted", f"{totals.submitted} made, {len(case.ledger.accepted)} accepted"
    for task_id, changes in case.ledger.changes.items():
        ends = [c.what.split()[0] for c in changes]
        ends = [what for what in ends if what in (State.COMPLETED, State.FAILED, State.CANCELLED)]
        if len(ends) > 1:
            yield task_id, f"ended as {', '.join(ends)}"


def _is_over(values: dict[str, str]) -> bool:
    return bool(values.get("state")) and State(values["state"]).terminal


def _wrong_texts(case: Case) -> Offences:
    for order in case.kept:
        wanted, values = case.expected[order.clip.name], case.task(order)
        if wanted.error_code or not _is_over(values):
            continue
        if values["state"] != State.COMPLETED:
            yield order.task_id, f"{values['state']}: {values['error_code']} ({values})"
            continue
        answer = case.evidence.answers.get(order.task_id, "")
        if Expected.text_of(answer) != wanted.text:
            yield order.task_id, f"wanted {wanted.text!r}, got {answer or 'nothing'}"
        elif answer != case.evidence.stored.get(order.task_id):
            yield order.task_id, "the API answers something else than the store holds"


def _wrong_failures(case: Case) -> Offences:
    for order in case.kept:
        wanted, values = case.expected[order.clip.name], case.task(order)
        if not wanted.error_code or not _is_over(values):
            continue
        if (values["state"], values["error_code"]) != (State.FAILED, wanted.error_code):
            yield order.task_id, f"{values['state']} {values['error_code']}"
        elif values["transient_failures"] not in ("", "0"):
            # A decoder that was killed under it is the only good reason.
            changes = [change.what for change in case.ledger.changes[order.task_id]]
            if not any("decoder" in deed.what for deed in case.ledger.deeds):
                yield order.task_id, f"was retried: {values}, {changes}"


def _wrong_blobs(case: Case) -> Offences:
    results: dict[str, list[str]] = {}
    for path in case.evidence.blobs:
        if path.startswith("results/"):
            results.setdefault(path.split("/")[1], []).append(path)
    for order in case.kept:
        values = case.task(order)
        completed = values.get("state") == State.COMPLETED
        wanted = [values["result"]] if completed else []
        if (found := results.get(order.task_id, [])) != wanted and _is_over(values):
            yield order.task_id, f"points to {wanted}, the store holds {sorted(found)}"


def _changed_results(case: Case) -> Offences:
    for order in case.in_state(State.COMPLETED):
        if order.seen_result and order.seen_result != case.evidence.answers.get(order.task_id):
            yield order.task_id, f"was {order.seen_result}"


def _orphaned_blobs(case: Case) -> Offences:
    if "failed" in case.evidence.swept:
        yield "sweep", str(case.evidence.swept["failed"])
    for path in case.evidence.blobs:
        parts = path.split("/")
        if len(parts) > 1 and parts[1] not in case.evidence.tasks:
            yield parts[1], f"{path} is still there"


def _missing_audio(case: Case) -> Offences:
    for order in case.kept:
        if audio_path(order.task_id) not in case.evidence.blobs:
            yield order.task_id, "its audio is gone"


def _leftovers(case: Case) -> Offences:
    yield from ((name, str(size)) for name, size in case.evidence.leftovers.items() if size)
    if case.evidence.backlog.audio_seconds:
        yield "audio_seconds", str(case.evidence.backlog.audio_seconds)


def _mended(case: Case) -> Offences:
    """Only where a stream or group was taken away may the first pass still find something."""
    first = 1 if case.mended_by_reconcile else 0
    for number, counted in enumerate(case.evidence.reconciled):
        counts = ("readded", "corrected", "tenants_recounted")
        wrong = "failed" in counted or any(counted.get(name) for name in counts)
        if wrong and number >= first:
            yield f"reconcile {number + 1}", str(counted)


def _late(case: Case) -> Offences:
    limit = case.lease_seconds + CLAIM_MARGIN_SECONDS
    for orphan in case.orphans:
        if orphan.claimed_at is None and not orphan.excused:
            yield orphan.task_id, f"never claimed after the end of {orphan.worker}"
        elif orphan.waited_seconds > limit and not orphan.excused:
            yield orphan.task_id, f"{orphan.waited_seconds:.1f} s after the end of {orphan.worker}"


def _died(case: Case) -> Offences:
    for program in case.programs:
        for life in program.lives:
            # 0 after a drain; uvicorn drains and then ends by the signal it got.
            well = life.meant and life.status in (None, 0, -signal.SIGKILL, -signal.SIGTERM)
            if life.ended_at is not None and not well:
                yield program.name, f"process {life.pid} ended with status {life.status}"

"""What became of each case, and whether every bound held. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from asr_core.task import TERMINAL
from fuzz.mutations import Case
from fuzz.texts import TextReport

PROBE_DEATHS = ("crashed the decoder.", "of processor time.")


@dataclass
class Fate:
    """One case's way: the reply to its submission (0: none), then its task's end."""

    case: Case
    status: int = 0
    code: str = ""
    message: str = ""
    seconds: float = 0.0
    task_id: str = ""
    state: str = ""
    attempts: int = 0
    crashes: int = 0
    transient_failures: int = 0
    later_status: int = 0

    @property
    def accepted(self) -> bool:
        return self.status == 202

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL


@dataclass(frozen=True)
class Finding:
    """A bound that was broken, by one case or by the run as a whole."""

    what: str
    fate: Fate | None = None


@dataclass
class Report:
    """Everything counted; `findings` is empty when all bounds held."""

    seed: int
    seconds: float
    fates: list[Fate]
    workers_lost: int
    apis_lost: int
    decoders_lost: int
    texts: TextReport = field(default_factory=TextReport)
    findings: list[Finding] = field(default_factory=list)

    def lines(self) -> Iterable[str]:
        accepted = [fate for fate in self.fates if fate.accepted]
        yield f"seed {self.seed}: {len(self.fates)} files in {self.seconds:.0f} s"
        yield "replies to submissions"
        yield from _counted((fate.status, fate.code, _shape(fate.message)) for fate in self.fates)
        yield f"ends of the {len(accepted)} accepted"
        yield from _counted((fate.state, fate.code, _shape(fate.message)) for fate in accepted)
        yield f"slowest reply        {max((fate.seconds for fate in self.fates), default=0):.2f} s"
        yield f"5xx                  {sum(_is_5xx(fate) for fate in self.fates)}"
        probes_lost = sum(fate.message.endswith(PROBE_DEATHS) for fate in self.fates)
        yield (
            f"processes lost       workers {self.workers_lost}, decoders {self.decoders_lost},"
            f" APIs {self.apis_lost}, probes {probes_lost}"
        )
        yield f"tasks retried        {sum(fate.attempts > 1 for fate in accepted)}"
        yield f"tasks not terminal   {sum(not fate.terminal for fate in accepted)}"
        yield from self.texts.lines()
        for finding in self.findings:
            name = f" {finding.fate.case.name}" if finding.fate else ""
            yield f"BROKEN{name}: {finding.what}"
        yield "all bounds held" if not self.findings else f"{len(self.findings)} findings"


def find(report: Report) -> list[Finding]:
    """Which bounds were broken."""
    found = [Finding(what, fate) for fate in report.fates if (what := _broken(fate))]
    found += [Finding(what) for what in report.texts.broken]
    if report.apis_lost:
        found.append(Finding(f"{report.apis_lost} API processes ended"))
    crashing = sum(
        fate.state == "failed" and fate.code == "worker_crashed" for fate in report.fates
    )
    if report.workers_lost and not crashing:
        found.append(
            Finding(f"{report.workers_lost} worker processes ended, and no file is to blame")
        )
    return found


def _broken(fate: Fate) -> str:
    if fate.status == 0:
        return f"the submission was not answered: {fate.message}"
    if _is_5xx(fate):
        return f"{fate.status} {fate.later_status or ''} {fate.code}: {fate.message}"
    if not fate.accepted:
        return f"refused although whole: {fate.message}" if fate.case.whole else ""
    if not fate.terminal:
        return f"its task is {fate.state or 'gone'}"
    if fate.crashes:
        return f"{fate.crashes} worker processes ended while they had it"
    if fate.attempts != 1 or fate.transient_failures:
        return f"tried {fate.attempts} times: {fate.code} {fate.message}"
    if fate.case.whole and fate.state != "completed":
        return f"failed although whole: {fate.message}"
    return ""


def _is_5xx(fate: Fate) -> bool:
    return max(fate.status, fate.later_status) >= 500


def _shape(message: str) -> str:
    """The message without its numbers, so that equal ones are counted together."""
    return re.sub(r"\d+(\.\d+)?", "…", message)[:90]


def _counted(keys: Iterable[tuple[object, ...]]) -> Iterable[str]:
    for key, count in Counter(keys).most_common():
        yield f"  {count:6}  " + "  ".join(str(part) for part in key if part != "")

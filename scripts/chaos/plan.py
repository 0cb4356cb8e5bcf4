"""Which faults come when: a pure function of the seed. No I/O, no clock, no chance of its own."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

StoreKind = Literal["folder", "s3"]
Target = Literal["worker", "api", "all"]
LAST_SHARE = 0.95  # of the tasks; what comes later would hit an idle platform


@dataclass(frozen=True)
class FaultKind:
    """What is hit, and for how long: `leases` leases and `seconds` (lowest, highest) more."""

    target: Target
    says: str
    leases: float = 0.0
    seconds: tuple[float, float] = (0.0, 0.0)
    mended_by_reconcile: bool = False


FAULTS: Mapping[str, FaultKind] = MappingProxyType(
    {
        "kill_worker": FaultKind("worker", "SIGKILL, started again at once", seconds=(0, 1)),
        "kill_decoder": FaultKind("worker", "SIGKILL of one of its decoder processes"),
        "term_worker": FaultKind("worker", "SIGTERM, started again when it has drained"),
        "stop_worker": FaultKind("worker", "SIGSTOP past two leases, SIGCONT", 2.0, (1, 4)),
        "partition_worker": FaultKind("worker", "Redis swallows its bytes", 1.0, (2, 8)),
        "lose_claim": FaultKind("worker", "the reply of a claim is lost", seconds=(0, 1)),
        "lose_finish": FaultKind("worker", "the reply of a finish is lost", seconds=(0, 1)),
        "late_claim": FaultKind("worker", "a claim comes late and unheard", 0.5, (5, 6)),
        "late_finish": FaultKind("worker", "a finish comes once more, late", 1.0, (1, 3)),
        "kill_at_claim": FaultKind("worker", "SIGKILL before the reply of a claim"),
        "kill_at_finish": FaultKind("worker", "SIGKILL between result and finish"),
        "kill_api": FaultKind("api", "SIGKILL, started again at once", seconds=(0, 1)),
        "kill_probe": FaultKind("api", "SIGKILL of one of its probe processes"),
        "term_api": FaultKind("api", "SIGTERM, started again"),
        "partition_api": FaultKind("api", "Redis swallows its bytes", seconds=(3, 8)),
        "lose_submit": FaultKind("api", "the reply of a submit script is lost", seconds=(0, 1)),
        "late_submit": FaultKind("api", "a submit script comes once more, late", seconds=(6, 20)),
        "kill_at_submit": FaultKind("api", "SIGKILL between audio and submit script"),
        "kill_at_reply": FaultKind("api", "SIGKILL between submit script and 202"),
        "kill_redis": FaultKind("all", "SIGKILL, started again on its AOF", seconds=(0, 4)),
        "cut_connections": FaultKind("all", "every connection to Redis and store is cut"),
        "flush_scripts": FaultKind("all", "SCRIPT FLUSH"),
        "destroy_group": FaultKind("all", "XGROUP DESTROY", mended_by_reconcile=True),
        "delete_stream": FaultKind("all", "DEL asr_tasks", mended_by_reconcile=True),
        "store_away": FaultKind("all", "the store refuses connections (S3)", seconds=(2, 8)),
    }
)
ONLY_ON_S3 = frozenset({"store_away"})
SOAK_FAULTS = (
    "kill_worker", "kill_decoder", "term_worker", "kill_at_claim", "kill_at_finish", "lose_finish",
    "kill_api", "kill_probe", "term_api", "kill_at_submit", "kill_at_reply", "lose_submit",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One fault: once `after_tasks` are accepted, for `seconds`, on worker or API `number`.

    Where that one is still down from another fault, the next that is not takes its place.
    """

    after_tasks: int
    kind: str
    number: int
    seconds: float

    def __str__(self) -> str:
        kind = FAULTS[self.kind]
        target = "" if kind.target == "all" else f" {kind.target}-{self.number}"
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"after {self.after_tasks:5} tasks  {self.kind}{target}{lasting}"


def kinds_for(store: StoreKind, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """The kinds that make sense with this store. Raises ValueError for an unknown one."""
    if unknown := sorted(set(wanted) - set(FAULTS)):
        raise ValueError(f"unknown faults {', '.join(unknown)}; there are: {', '.join(FAULTS)}")
    return tuple(k for k in wanted or FAULTS if store == "s3" or k not in ONLY_ON_S3)


def draw_plan(
    seed: int,
    *,
    tasks: int,
    every_tasks: float,
    kinds: Sequence[str],
    workers: int,
    apis: int,
    lease_seconds: float,
) -> list[Fault]:
    """Faults about `every_tasks` tasks apart; each kind once before any comes again."""
    chance = random.Random(f"plan {seed}")
    plan: list[Fault] = []
    left: list[str] = []
    after = every_tasks * chance.uniform(0.3, 0.7)
    while kinds and after < tasks * LAST_SHARE:
        left = left or chance.sample(list(kinds), len(kinds))
        name = left.pop()
        kind = FAULTS[name]
        count = {"worker": workers, "api": apis, "all": 0}[kind.target]
        number = chance.randint(1, count) if count else 0
        seconds = kind.leases * lease_seconds + chance.uniform(*kind.seconds)
        plan.append(Fault(round(after), name, number, round(seconds, 2)))
        after += every_tasks * chance.uniform(0.5, 1.5)
    return plan

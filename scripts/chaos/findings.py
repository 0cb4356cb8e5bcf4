"""What the checks found: each with its count, and the ids that offend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Check:
    """One promise: what was looked at, and who breaks it (`offences` by task id or name)."""

    says: str
    looked_at: int
    offences: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.offences

    def __str__(self) -> str:
        verdict = "holds " if self.holds else "BROKEN"
        tail = f", {len(self.offences)} offend" if self.offences else ""
        return f"  {verdict}  {self.says}: {self.looked_at} looked at{tail}"


@dataclass
class Findings:
    """All checks of one seed."""

    checks: list[Check] = field(default_factory=list)

    def add(self, says: str, looked_at: int, offences: Iterable[tuple[str, str]] = ()) -> None:
        self.checks.append(Check(says, looked_at, dict(offences)))

    @property
    def hold(self) -> bool:
        return all(check.holds for check in self.checks)

    def offenders(self) -> dict[str, list[str]]:
        """What each offender did, over all checks."""
        found: dict[str, list[str]] = {}
        for check in self.checks:
            for name, why in check.offences.items():
                found.setdefault(name, []).append(f"{check.says}: {why}")
        return found

"""What a script says about one task of a worker."""

from enum import StrEnum


class Outcome(StrEnum):
    """Anything but `OK` means: this attempt no longer counts; delete what it wrote."""

    OK = "ok"
    FENCED = "fenced"
    GONE = "gone"
    CANCELLED = "cancelled"

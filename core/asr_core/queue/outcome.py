"""A script's reply about one task of a worker."""

from enum import StrEnum


class Outcome(StrEnum):
    """Anything but `OK`: the attempt is void; delete what it wrote."""

    OK = "ok"
    FENCED = "fenced"
    GONE = "gone"
    CANCELLED = "cancelled"

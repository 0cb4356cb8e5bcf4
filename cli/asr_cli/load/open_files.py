"""The limit of open files of this process."""

from __future__ import annotations

import resource


def allow_open_files(count: int) -> None:
    """Raise the soft limit to `count` if it is lower; ValueError beyond the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise ValueError(
            f"{count} open files are needed, {hard} are allowed: "
            "take fewer clients, or raise the hard limit (`ulimit -Hn`)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))

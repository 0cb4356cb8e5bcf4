"""File descriptors: the process limit and the share reserved for uploads."""

from __future__ import annotations

import resource

FILES_WANTED = 65_536
UPLOADS_SHARE = 4  # 1/n of the descriptors may be spool files


def files_allowed() -> int:
    """The soft limit, bounded by what a server can use."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES_WANTED if soft == resource.RLIM_INFINITY else min(soft, FILES_WANTED)


def raise_file_limit() -> None:
    """Raise the soft limit to the hard one: many systems default to 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

"""The worker as a command: `python -m asr_worker`.

SIGTERM or SIGINT drains; a second one releases all tasks at once.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time

from asr_core.errors import AsrError
from asr_core.process.logs import configure_logging, get_logger
from asr_core.process.setting_names import warn_of_unknown_settings
from asr_core.queue import require_permissions
from asr_worker.process.supervisor import Supervisor, child_settings
from asr_worker.settings import WorkerSettings

# A signal to the whole process group, as a terminal and systemd send it, reaches a child twice:
# directly and through its parent. Both count as one request.
_ECHO_SECONDS = 2.0
_log = get_logger(__name__)


def main() -> int:
    """Runs one worker, or several under a parent. Returns the exit status.

    A single worker that is recycled has a parent as well, which ends with the worker's status
    unless the worker was only replaced.
    """
    settings = WorkerSettings()
    configure_logging(settings, "worker")
    warn_of_unknown_settings()
    try:
        # Before a model is loaded, and before children are started again and again.
        asyncio.run(require_permissions(settings))
    except AsrError as error:
        _log.critical("the worker cannot run", code=error.code, reason=error.message)
        return 1
    if settings.worker_count == 1 and not settings.recycles:
        return run_process(settings)
    if settings.worker_count == 1:
        return Supervisor([settings], run_child, restart_crashed=False).run()
    host = socket.gethostname()
    children = [child_settings(settings, n, host) for n in range(settings.worker_count)]
    return Supervisor(children, run_child).run()


def run_process(settings: WorkerSettings) -> int:
    """One worker on an event loop of its own; returns its exit status."""
    configure_logging(settings, "worker")
    return asyncio.run(_until_signalled(settings))


def run_child(settings: WorkerSettings) -> None:
    """A supervised worker; ends the process."""
    leave(run_process(settings))


def leave(status: int) -> None:
    """Ends the process without waiting for a batch that still runs on the engine's thread."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


async def _until_signalled(settings: WorkerSettings) -> int:
    # Imported here: the parent of several workers does not need it.
    from asr_worker.process.runtime import run_worker

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    working = asyncio.create_task(run_worker(settings, stop=stop))
    asked_at = 0.0

    def on_signal(name: str) -> None:
        nonlocal asked_at
        if not stop.is_set():
            _log.info("stopping", signal=name)
            asked_at = time.monotonic()
            stop.set()
        elif time.monotonic() - asked_at > _ECHO_SECONDS:
            _log.warning("second signal, releasing everything", signal=name)
            working.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)
    if parent := multiprocessing.parent_process():
        loop.add_reader(parent.sentinel, _orphaned, loop, parent.sentinel, stop)
    try:
        return await working
    except asyncio.CancelledError:
        return 0


def _orphaned(loop: asyncio.AbstractEventLoop, sentinel: int, stop: asyncio.Event) -> None:
    """The parent was killed, so nothing else would stop this process."""
    loop.remove_reader(sentinel)
    _log.error("the parent process is gone, stopping")
    stop.set()

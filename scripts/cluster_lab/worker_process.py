"""A worker in a process of its own: `python -m cluster_lab.worker_process '{"url": …}'`.

Plays one pod after another, with commands on stdin: `start NAME`, `stop`; each has a reply.
Starting Python for each pod would take longer than the rest of a test with many pods.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr_core.settings.queue import QueueSettings
from asr_core.settings.redis import RedisSettings
from cluster_lab.workers import Worker


async def serve(options: dict[str, Any]) -> None:
    """Until stdin ends."""
    redis = RedisSettings(_env_file=None, url=options.pop("url"))
    settings = QueueSettings(_env_file=None, lease_seconds=options.pop("lease_seconds"))
    worker: Worker | None = None
    while line := await asyncio.to_thread(sys.stdin.readline):
        word, _, pod = line.strip().partition(" ")
        if word == "start":
            worker = Worker(redis, settings, pod, **options)
            await worker.start()
            print(worker.consumer.name, flush=True)
        elif worker is not None:
            await worker.stop()
            print(len(worker.drained), flush=True)


@dataclass
class WorkerProcess:
    """The other end."""

    options: dict[str, Any]
    consumer: str = ""
    _is_ended: bool = False
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def start(self, pod: str) -> None:
        """Known to the queue when this returns."""
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cluster_lab.worker_process", json.dumps(self.options),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            )  # fmt: skip
        self.consumer = await self._ask(f"start {pod}")

    async def stop(self) -> int:
        """Drains. Returns how many tasks it had in hand."""
        return int(await self._ask("stop") or 0)

    async def end(self) -> None:
        """Ends the process, whatever it was asked and has not answered."""
        self._is_ended = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, line: str) -> str:
        assert self._process
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n".encode())
        answer = await self._process.stdout.readline()
        assert answer or self._is_ended, "the worker's process has ended"
        return answer.decode().strip()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))

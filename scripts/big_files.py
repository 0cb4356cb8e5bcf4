"""Memory under big files: the largest upload through the API, ten hours through a worker.

    python scripts/big_files.py [--hours 10] [--upload-bytes N] [--folder DIR] [--json FILE]

It starts `asr up` in a folder of its own, lets it transcribe the bundled recording, and takes what
its programs then hold as idle. From then on it sums the resident memory of each program and of the
children it has, five times a second. PSS is told beside RSS: pages that several processes share
count once in it. The bounds are on RSS, the larger one. Exit status 1 if one is broken, or if the
words of the ten hours are not those that are spoken. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import ssl
import sys
import tempfile
import time
import uuid
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from asr_cli.load.recording import Recording
from asr_cli.load.session import Session
from asr_cli.local.demo import Demo, find_demo, spoken_words
from asr_cli.local.ports import free_port
from asr_platform import AsyncClient, Transcript

WORKER_BOUND_MB = 2000
API_BOUND_MB = 50
SAMPLE_SECONDS = 0.2
IDLE_SECONDS = 5.0
START_SECONDS = 600.0
TRANSCRIBE_SECONDS = 3600.0
SPEECH_RATE = 16_000
UNIT_SAMPLES = 200_000  # 12.5 s: the recording and a pause; 2880 of them are ten hours
PARKED = "parked"  # a pool that no worker serves


@dataclass(frozen=True)
class Memory:
    """What a program and its children hold, in MB (a million bytes)."""

    rss: float
    pss: float


@dataclass(frozen=True)
class Measured:
    """One program during one file. `over_idle` is of RSS."""

    what: str
    program: str
    seconds: float
    idle: Memory
    peak: Memory
    over_idle: float
    bound: float | None

    @property
    def kept(self) -> bool:
        return self.bound is None or self.over_idle < self.bound


def tree(root: int) -> list[int]:
    """A process and all that descend from it; those that end meanwhile are left out."""
    found = [root]
    for process in found:
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def memory(root: int) -> Memory:
    """The sum over a process and its descendants, as the kernel counts it."""
    kib = {"Rss:": 0, "Pss:": 0}
    for process in tree(root):
        with suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                name, *rest = line.split()
                if name in kib:
                    kib[name] += int(rest[0])
    if not kib["Rss:"]:
        raise SystemExit(f"process {root} has ended; nothing was measured")
    return Memory(kib["Rss:"] * 1024 / 1e6, kib["Pss:"] * 1024 / 1e6)


class Watch:
    """Samples programs while something happens; `idle` is the most seen in the first seconds."""

    def __init__(self, programs: dict[str, int]) -> None:
        self._programs = programs

    async def measure(
        self, what: str, bounds: dict[str, float], act: Callable[[], Any]
    ) -> list[Measured]:
        idle = await self._peak_while(asyncio.create_task(asyncio.sleep(IDLE_SECONDS)))
        started = time.monotonic()
        peak = await self._peak_while(asyncio.create_task(act()))
        seconds = time.monotonic() - started
        return [
            Measured(
                what=what,
                program=name,
                seconds=round(seconds, 1),
                idle=idle[name],
                peak=peak[name],
                over_idle=peak[name].rss - idle[name].rss,
                bound=bounds.get(name),
            )
            for name in self._programs
        ]

    async def _peak_while(self, job: asyncio.Task[None]) -> dict[str, Memory]:
        peak = dict.fromkeys(self._programs, Memory(0, 0))
        try:
            while not job.done():
                for name, process in self._programs.items():
                    now = await asyncio.to_thread(memory, process)
                    peak[name] = Memory(max(peak[name].rss, now.rss), max(peak[name].pss, now.pss))
                await asyncio.wait([job], timeout=SAMPLE_SECONDS)
            job.result()
        finally:
            job.cancel()
        return peak


@asynccontextmanager
async def platform(folder: Path) -> AsyncIterator[tuple[str, dict[str, int]]]:
    """`asr up` with one worker: its address, and the processes of its API and its worker."""
    port = free_port("127.0.0.1", 0)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
    with (folder / "up.log").open("wb") as log:
        up = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asr_cli", "up", "--port", str(port), "--workers", "1"),
            *("--data", str(folder / "data")),
            cwd=folder,
            env={**inherited, "ASR_MODEL": "embedded", "ASR_POOLS": f"default,{PARKED}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            # The addresses are printed after the bundled recording has been transcribed.
            while "Ctrl-C stops everything" not in (folder / "up.log").read_text():
                if up.returncode is not None:
                    raise SystemExit((folder / "up.log").read_text())
                await asyncio.sleep(0.2)
        yield f"http://127.0.0.1:{port}", {name: child(up.pid, name) for name in ("api", "worker")}
    finally:
        with suppress(ProcessLookupError):
            up.send_signal(signal.SIGINT)
        await up.wait()


def child(parent: int, command: str) -> int:
    """The process of `asr COMMAND` below `asr up`."""
    for process in tree(parent):
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        if words[1:4] == [b"-m", b"asr_cli", command.encode()]:
            return process
    raise SystemExit(f"asr up runs no `asr {command}`")


def write_speech(path: Path, demo: Demo, seconds: float) -> int:
    """16 kHz mono: the recording repeated, with faint noise between; returns the repetitions."""
    speech = speech_of(demo)
    unit = np.concatenate([speech, noise(UNIT_SAMPLES - len(speech))]).tobytes()
    times = int(seconds * SPEECH_RATE * 2) // len(unit)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SPEECH_RATE, 0, "NONE", ""))
        for _ in range(times):
            file.writeframesraw(unit)
    return times


def write_upload(path: Path, demo: Demo, size_bytes: int) -> None:
    """48 kHz stereo of exactly so many bytes, the header among them."""
    stereo = np.repeat(np.repeat(speech_of(demo), 3), 2).tobytes()
    left = size_bytes - 44
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 3 * SPEECH_RATE, 0, "NONE", ""))
        while left:
            part = stereo[:left]
            file.writeframesraw(part)
            left -= len(part)


def speech_of(demo: Demo) -> np.ndarray:
    with wave.open(str(demo.audio)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-3, 4, samples, np.int16)


async def submit(url: str, path: Path, pool: str) -> str:
    """The task's id, from one request."""
    async with Session(url, ssl.create_default_context()) as session:
        answer = await session.submit(Recording(path, {"pool": pool}), uuid.uuid4().hex)
    if answer.problem is not None:
        raise SystemExit(f"{path.name} was not accepted: {answer.problem}")
    return str(answer.body["task_id"])


async def upload_and_delete(url: str, path: Path) -> None:
    task_id = await submit(url, path, PARKED)
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as http:
        (await http.delete(f"/api/v1/asr/task/{task_id}")).raise_for_status()


async def transcribe(url: str, path: Path) -> Transcript:
    task_id = await submit(url, path, "default")
    async with AsyncClient(url) as client:
        return await client.transcript(await client.wait(task_id, timeout=TRANSCRIBE_SECONDS))


def wrong_words(transcript: Transcript, demo: Demo, times: int) -> list[str]:
    """What is not as spoken: the beginning, the middle, the end, and the number of words."""
    unit = spoken_words(demo.expected)
    spoken = spoken_words(transcript.text)
    expected: dict[str, tuple[object, object]] = {
        "number of words": (len(spoken), len(unit) * times)
    }
    middle = len(unit) * (times // 2)
    for place, start in (("start", 0), ("middle", middle), ("end", len(spoken) - len(unit))):
        expected[place] = (spoken[start : start + len(unit)], unit)
    return [f"{place}: {was}, not {due}" for place, (was, due) in expected.items() if was != due]


async def run(arguments: argparse.Namespace, folder: Path, demo: Demo) -> dict[str, Any]:
    """Both files, one after the other; the upload first, while the API has seen nothing else."""
    large, long = folder / "upload.wav", folder / "long.wav"
    transcripts: list[Transcript] = []
    async with platform(folder) as (url, programs):
        watch = Watch(programs)
        say(f"writing {arguments.upload_bytes / 1e9:.2f} GB")
        write_upload(large, demo, arguments.upload_bytes)
        say("uploading it")
        measured = await watch.measure(
            "upload", {"api": API_BOUND_MB}, lambda: upload_and_delete(url, large)
        )
        large.unlink()
        say(f"writing {arguments.hours:g} hours")
        times = write_speech(long, demo, arguments.hours * 3600)

        async def transcribe_long() -> None:
            transcripts.append(await transcribe(url, long))

        say("transcribing them")
        measured += await watch.measure("hours", {"worker": WORKER_BOUND_MB}, transcribe_long)
    return {
        "upload_bytes": arguments.upload_bytes,
        "hours": transcripts[0].duration_seconds / 3600,
        "hours_bytes": long.stat().st_size,
        "segments": len(transcripts[0].segments),
        "wrong_words": wrong_words(transcripts[0], demo, times),
        "measured": [{**asdict(one), "kept": one.kept} for one in measured],
    }


def print_table(report: dict[str, Any]) -> None:
    """One line for each program and file; MB."""
    print(f"{'file':<8}{'program':<9}{'seconds':>8}", end="")
    print(f"{'idle RSS':>10}{'peak RSS':>10}{'over idle':>11}{'bound':>7}{'peak PSS':>10}")
    for one in report["measured"]:
        bound = "" if one["bound"] is None else f"{one['bound']:.0f}"
        print(f"{one['what']:<8}{one['program']:<9}{one['seconds']:>8.1f}", end="")
        print(f"{one['idle']['rss']:>10.1f}{one['peak']['rss']:>10.1f}", end="")
        print(f"{one['over_idle']:>11.1f}{bound:>7}{one['peak']['pss']:>10.1f}", end="")
        print("" if one["kept"] else "  BROKEN")
    print(f"upload {report['upload_bytes'] / 1e9:.3f} GB; ", end="")
    print(f"{report['hours']:.3f} hours in {report['hours_bytes'] / 1e9:.3f} GB, ", end="")
    words = "wrong words" if report["wrong_words"] else "words as spoken"
    print(f"{report['segments']} segments, {words}")
    for problem in report["wrong_words"]:
        print(f"  {problem}")


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--upload-bytes", type=int, default=2 * 1024**3)
    parser.add_argument("--json", type=Path, help="also write the numbers there")
    parser.add_argument("--folder", type=Path, help="a place with room for all files")
    arguments = parser.parse_args()
    demo = find_demo()
    if demo is None:
        raise SystemExit("the bundled recording is not installed")
    folder = Path(tempfile.mkdtemp(prefix="asr-big-files-", dir=arguments.folder))
    try:
        # Each file exists three times at once: here, on its way in, and in the store or decoded.
        needed = 3 * max(arguments.upload_bytes, arguments.hours * 3600 * SPEECH_RATE * 2)
        if (free := shutil.disk_usage(folder).free) < needed:
            raise SystemExit(f"{folder} has {free / 1e9:.1f} GB of room, {needed / 1e9:.1f} needed")
        report = asyncio.run(run(arguments, folder, demo))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_table(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(m["kept"] for m in report["measured"]) and not report["wrong_words"] else 1


if __name__ == "__main__":
    sys.exit(main())

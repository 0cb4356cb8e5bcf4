"""The client under its old names, as the documents of the last release show it: for one release.

Each example is as it stood there, but for the server's address.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

README = """
from asr_cli.blocking_client import transcribe_file

print(transcribe_file("recordings/talk.wav", SERVER, language="en"))
"""
BLOCKING = """
from asr_cli.blocking_client import BlockingClient
from asr_cli.client import SubmitOptions

with BlockingClient(SERVER, api_key=None) as client:
    print(client.transcribe("recordings/talk.wav", SubmitOptions(language="en"), format="srt"))

    task_id = client.submit("recordings/meeting.wav", SubmitOptions(lane="batch", channels="split"))
    client.wait(task_id, on_progress=lambda state, share: print(f"{state} {share:.0%}"))
    for segment in client.transcript(task_id).segments:
        print(segment.start_seconds, segment.channel, segment.text)
    client.delete(task_id)
"""
ASYNCHRONOUS = """
import asyncio
from pathlib import Path
from asr_cli.client import AsrClient


async def main() -> None:
    async with AsrClient(SERVER) as client:
        files = sorted(Path("recordings").glob("*.wav"))
        texts = await asyncio.gather(*(client.transcribe(file) for file in files))
        for file, text in zip(files, texts):
            print(file.name, text)


asyncio.run(main())
"""


@pytest.mark.usefixtures("stand_in_worker")
def test_the_old_examples_run_and_warn(
    api_url: str, recordings: Callable[..., list[str]], tmp_path: Path
) -> None:
    recordings("meeting.wav", "talk.wav")
    for example, told, module in (
        (README, "the words of talk.wav\n", "blocking_client"),
        (BLOCKING, "completed 100%\n0.0 None the words of meeting.wav\n", "blocking_client"),
        (ASYNCHRONOUS, "talk.wav the words of talk.wav\n", "client"),
    ):
        code = example.replace("SERVER", repr(api_url))
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
        assert f"DeprecationWarning: asr_cli.{module} is now" in done.stderr
        assert done.stderr.count("DeprecationWarning") == 1


def test_the_renderer_is_where_it_was() -> None:
    code = """
from asr_core.render import ResultFormat, render
from asr_core.result import Transcript

empty = Transcript(
    text="words", language=None, duration_seconds=1, segments=(), model="", engine="", device=""
)
assert render(empty, ResultFormat.TEXT) == "words\\n"
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)

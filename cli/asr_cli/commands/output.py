"""Where the transcripts of many files go: pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from asr_core.render import ResultFormat

EXTENSIONS = {
    ResultFormat.TEXT: "txt",
    ResultFormat.JSON: "json",
    ResultFormat.SRT: "srt",
    ResultFormat.VTT: "vtt",
}


def output_paths(files: Sequence[Path], directory: Path, format: ResultFormat) -> list[Path]:
    """One output file for each input, all different.

    `talk.mp3` becomes `talk.srt`, which players find beside it; inputs that share a stem keep their
    whole name (`talk.mp3.srt`), and those that share that as well are numbered.
    """
    extension = EXTENSIONS[format]
    stems = Counter(file.stem for file in files)
    names: dict[str, None] = {}
    for file in files:
        name = file.stem if stems[file.stem] == 1 else file.name
        numbered = (f"{name}-{number}" for number in count(2))
        names[next(free for free in chain([name], numbered) if free not in names)] = None
    return [directory / f"{name}.{extension}" for name in names]


def for_stdout(file: Path, transcript: str, format: ResultFormat, *, alone: bool) -> str:
    """A transcript as it stands on stdout; with others beside it, it says which file it is of."""
    transcript = transcript.rstrip("\n")
    if alone:
        return transcript
    if format is ResultFormat.JSON:
        return json.dumps({"file": str(file), **json.loads(transcript)}, ensure_ascii=False)
    return f"{file}: {transcript}"

from __future__ import annotations

import json
from pathlib import Path

from asr_cli.commands.output import for_stdout, output_paths
from asr_core.render import ResultFormat


def names(files: list[str], format: ResultFormat = ResultFormat.SRT) -> list[str]:
    return [p.name for p in output_paths([Path(f) for f in files], Path("out"), format)]


def test_an_output_is_named_after_its_recording() -> None:
    assert names(["a/talk.mp3", "b.c.wav"]) == ["talk.srt", "b.c.srt"]
    assert names(["talk.mp3"], ResultFormat.TEXT) == ["talk.txt"]


def test_recordings_with_one_stem_keep_their_whole_names() -> None:
    assert names(["talk.mp3", "talk.wav", "x.wav"]) == ["talk.mp3.srt", "talk.wav.srt", "x.srt"]


def test_no_two_outputs_are_the_same_file() -> None:
    files = ["a/talk.wav", "b/talk.wav", "talk.wav", "talk.wav-2", "talk.wav.wav"]
    assert len(set(names(files))) == len(files)


def test_those_that_share_their_name_as_well_are_numbered_from_two() -> None:
    assert names(["a/talk.wav", "b/talk.wav", "c/talk.wav"]) == [
        "talk.wav.srt",
        "talk.wav-2.srt",
        "talk.wav-3.srt",
    ]


def test_a_transcript_that_stands_alone_is_printed_as_it_is() -> None:
    assert for_stdout(Path("a.wav"), "hello\n", ResultFormat.TEXT, alone=True) == "hello"


def test_among_others_a_transcript_says_which_file_it_is_of() -> None:
    assert for_stdout(Path("a.wav"), "hello\n", ResultFormat.TEXT, alone=False) == "a.wav: hello"


def test_many_json_results_are_json_lines_with_the_file_in_them() -> None:
    line = for_stdout(Path("a.wav"), '{\n"text": "你好"}\n', ResultFormat.JSON, alone=False)
    assert "\n" not in line
    assert "你好" in line, "people read it too"
    assert json.loads(line) == {"file": "a.wav", "text": "你好"}

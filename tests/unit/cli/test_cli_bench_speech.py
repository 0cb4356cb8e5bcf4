"""Speech of a folder for `asr bench engine`, its word errors, and segments as workers plan them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr_cli.bench.planning import planned_batches
from asr_cli.bench.speech import speech, word_errors
from asr_cli.main import app
from asr_worker.audio.pcm import FloatArray


def _write(path: Path, seconds: float, level: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.full(int(seconds * 16_000), level, np.int16).tobytes())


@pytest.mark.parametrize(
    ("expected", "heard", "errors"),
    [
        ("and so my fellow", "And so, my fellow.", (0, 4)),
        ("and so my fellow", "so my fellows too", (3, 4)),
        ("don't", "don't", (0, 1)),
        ("欢迎大家 AI", "欢迎大加AI。", (1, 5)),
        ("words", "", (1, 1)),
        ("", "words", (1, 0)),
    ],
)
def test_word_errors_pass_over_case_and_punctuation(
    expected: str, heard: str, errors: tuple[int, int]
) -> None:
    assert word_errors(expected, heard) == errors


def test_recordings_of_a_folder_are_joined_whole_with_their_words(tmp_path: Path) -> None:
    _write(tmp_path / "a.wav", 3.0, 5000)
    _write(tmp_path / "b.wav", 5.0, 9000)
    (tmp_path / "a.txt").write_text("first words\n")
    (tmp_path / "b.txt").write_text("others")
    short, long = speech(tmp_path, [1.0, 30.0], 1)
    assert len(short.samples) in (3 * 16_000, 5 * 16_000)
    assert short.words is not None
    assert short.words.strip() in ("first words", "others")
    assert 20 * 16_000 < len(long.samples) <= 30 * 16_000
    assert long.words is not None
    assert long.words.count("others") >= 2
    (tmp_path / "b.txt").unlink()
    assert speech(tmp_path, [30.0], 1)[0].words is None


def test_a_folder_without_recordings_is_told_and_without_one_the_bundled_sound_is_used(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match="holds no recordings"):
        speech(tmp_path, [1.0], 1)
    (bundled,) = speech(None, [2.0], 1)
    assert (len(bundled.samples), bundled.words) == (32_000, None)
    told = CliRunner().invoke(app, ["bench", "engine", "--recordings", str(tmp_path / "none")])
    assert told.exit_code == 2


def test_recordings_are_cut_and_batched_by_what_an_engine_computes() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 70 * 16_000).astype(np.float32)
    short: FloatArray = noise[: 2 * 16_000]
    batches = list(planned_batches([noise, short], 60.0, lambda seconds: max(seconds, 12.0)))
    segments = [segment for batch in batches for segment in batch]
    pieces = sorted((each for each in segments if each.recording == 0), key=lambda s: s.start)
    assert np.array_equal(np.concatenate([each.audio.pcm for each in pieces]), noise)
    assert max(each.audio.seconds for each in segments) <= 30
    assert sum(each.recording == 1 for each in segments) == 1

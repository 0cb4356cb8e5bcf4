"""An hour of people's speech and an hour without any, through a model: errors, loops, inventions.

    python scripts/long_audio.py --model whisper-base [--recordings ../shared/recordings]
        [--minutes 60] [--seed 1] [--vad silero] [--json FILE]

It starts `asr up` in a folder of its own. The speech is made of the recordings in a folder whose
README.md has a table of their names and words; between them stand pauses of 0.2 to 6 seconds,
beneath them noise at 20 to 50 dB below speech. The hour without speech is silence, mains hum,
white, pink and brown noise at any level, chords and clicks, a minute each. Exit status 1 where a
word is heard in what is no speech, or a phrase is repeated that nobody said so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from rapidfuzz.distance import Levenshtein

from asr_cli.bench.speech import words
from asr_cli.local.ports import free_port
from asr_platform import AsyncClient, Transcript

RATE = 16_000
START_SECONDS = 1800.0
TRANSCRIBE_SECONDS = 4 * 3600.0
REPEATED = 3  # a phrase that stands so often in a row is a loop, unless it was said so
PHRASE_WORDS = 8
# Of the recordings' own characters: the same word, written as in Taiwan.
SIMPLIFIED = str.maketrans("歡來體驗達語識別", "欢来体验达语识别")


@dataclass(frozen=True)
class Spoken:
    """A recording of a person: int16 at 16 kHz, and the words in it."""

    name: str
    pcm: np.ndarray
    words: tuple[str, ...]


def words_of(text: str) -> list[str]:
    """Words; of Chinese each character, simplified."""
    return words(text.translate(SIMPLIFIED))


def read_recordings(folder: Path) -> list[Spoken]:
    """Raises SystemExit where the folder has no table of recordings and words."""
    table = folder / "README.md"
    if not table.is_file():
        raise SystemExit(f"{table} is missing: a table of recordings and their words")
    rows = [row.split("|") for row in table.read_text(encoding="utf-8").splitlines()]
    names = {row[1].strip(): row[2].strip() for row in rows if len(row) > 3}
    found = [
        Spoken(name, decode(folder / name), tuple(words_of(text)))
        for name, text in sorted(names.items())
        if (folder / name).is_file()
    ]
    if not found:
        raise SystemExit(f"{table} names no recording that is there")
    return found


def decode(path: Path) -> np.ndarray:
    """16 kHz mono, int16."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as file:
        frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def coloured_noise(samples: int, power: float, chance: np.random.Generator) -> np.ndarray:
    """Power falls with frequency to the `power` (0 white, 1 pink, 2 brown); the peak is 1."""
    spectrum = np.fft.rfft(chance.standard_normal(samples))
    frequencies = np.maximum(np.arange(len(spectrum)), 1.0)
    noise = np.fft.irfft(spectrum / frequencies ** (power / 2), samples)
    return noise / np.abs(noise).max()


def speech(
    recordings: list[Spoken], seconds: float, chance: np.random.Generator
) -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
    """Pieces of sound, each with the words in it: recordings in a made-up order, with pauses."""
    made = 0
    while made < seconds * RATE:
        spoken = recordings[int(chance.integers(len(recordings)))]
        pause = np.zeros(int(chance.uniform(0.2, 6.0) * RATE))
        sound = np.concatenate([spoken.pcm / 32768, pause])
        level = np.sqrt(np.mean((spoken.pcm / 32768) ** 2)) * 10 ** (-chance.uniform(20, 50) / 20)
        noise = coloured_noise(len(sound), float(chance.integers(3)), chance)
        sound = sound + noise * level / np.sqrt(np.mean(noise**2))
        made += len(sound)
        yield to_int16(sound), spoken.words


def no_speech(seconds: float, chance: np.random.Generator) -> Iterator[np.ndarray]:
    """A minute of each kind, over and over, at levels from -60 to 0 dB of full scale."""
    samples, minute = 60 * RATE, 0
    at = np.arange(samples) / RATE
    while minute * 60 < seconds:
        level = 10 ** (chance.uniform(-60, 0) / 20)
        mains = 50.0 if minute % 2 else 60.0
        kinds = (
            lambda: np.zeros(samples),
            lambda hz=mains: sum(np.sin(2 * np.pi * hz * k * at) / k for k in (1, 2, 3, 5)) / 2,
            lambda: coloured_noise(samples, 0, chance),
            lambda: coloured_noise(samples, 1, chance),
            lambda: coloured_noise(samples, 2, chance),
            lambda: chords(at, chance),
            lambda: np.where(chance.random(samples) < 1 / RATE, 1.0, 0.0),
        )
        yield to_int16(kinds[minute % len(kinds)]() * level)
        minute += 1


def chords(at: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Music on hold: three notes of a few partials, another chord every two seconds."""
    roots = chance.choice([220.0, 246.9, 261.6, 293.7, 329.6], int(at[-1] / 2) + 1)
    root = roots[(at / 2).astype(int)]
    fading = np.exp(-(at % 2))
    notes = [np.sin(2 * np.pi * root * f * k * at) / k for f in (1, 1.25, 1.5) for k in (1, 2, 3)]
    return sum(notes) * fading / 6


def to_int16(sound: np.ndarray) -> np.ndarray:
    return np.clip(np.round(sound * 32767), -32768, 32767).astype(np.int16)


def write(path: Path, pieces: Iterator[np.ndarray]) -> float:
    """The file's seconds."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for piece in pieces:
            file.writeframesraw(piece.tobytes())
        return file.tell() / RATE


@asynccontextmanager
async def platform(folder: Path, model: str, settings: dict[str, str]) -> AsyncIterator[str]:
    """`asr up` with one worker; its address."""
    port = free_port("127.0.0.1", 0)
    with (folder / "up.log").open("wb") as log:
        up = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asr_cli", "up", "--port", str(port), "--workers", "1"),
            *("--data", str(folder / "data"), "--model", model),
            cwd=folder, env={**os.environ, **settings},
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        async with asyncio.timeout(START_SECONDS):
            while "Ctrl-C stops everything" not in (folder / "up.log").read_text():
                if up.returncode is not None:
                    raise SystemExit((folder / "up.log").read_text())
                await asyncio.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            up.send_signal(signal.SIGINT)
        await up.wait()


async def transcribe(url: str, path: Path) -> tuple[Transcript, float]:
    """The transcript, and how long it took in seconds."""
    started = time.monotonic()
    async with AsyncClient(url) as client:
        result = await client.transcribe(path, timeout=TRANSCRIBE_SECONDS)
    return result, time.monotonic() - started


def loops(said: list[str], expected: list[str]) -> list[str]:
    """Phrases of one to eight words that stand in a row more often than anybody said them."""
    return sorted(repeated(said) - repeated(expected))


def repeated(words: list[str]) -> set[str]:
    found = set()
    for size in range(1, PHRASE_WORDS + 1):
        for start in range(len(words) - size * REPEATED + 1):
            phrase = words[start : start + size]
            if words[start : start + size * REPEATED] == phrase * REPEATED:
                found.add(" ".join(phrase))
    return found


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    recordings = read_recordings(arguments.recordings)
    settings = {"ASR_VAD": arguments.vad} if arguments.vad else {}
    chance = np.random.default_rng(arguments.seed)
    expected: list[str] = []

    def spoken() -> Iterator[np.ndarray]:
        for sound, spoken_here in speech(recordings, arguments.minutes * 60, chance):
            expected.extend(spoken_here)
            yield sound

    speech_seconds = write(folder / "speech.wav", spoken())
    noise_seconds = write(folder / "noise.wav", no_speech(arguments.minutes * 60, chance))
    async with platform(folder, arguments.model, settings) as url:
        say("transcribing the recordings")
        alone = {
            one.name: Levenshtein.distance(
                list(one.words),
                words_of((await transcribe(url, arguments.recordings / one.name))[0].text),
            )
            for one in recordings
        }
        say(f"transcribing {speech_seconds / 60:.0f} minutes of speech")
        heard, speech_took = await transcribe(url, folder / "speech.wav")
        say(f"transcribing {noise_seconds / 60:.0f} minutes without speech")
        invented, noise_took = await transcribe(url, folder / "noise.wav")
    said = words_of(heard.text)
    return {
        "model": heard.model,
        "engine": heard.engine,
        "recordings": {
            one.name: {"words": len(one.words), "wrong": alone[one.name]} for one in recordings
        },
        "speech": {
            "seconds": speech_seconds,
            "took_seconds": round(speech_took, 1),
            "words": len(expected),
            "wrong": Levenshtein.distance(expected, said),
            "loops": loops(said, expected),
        },
        "no_speech": {
            "seconds": noise_seconds,
            "took_seconds": round(noise_took, 1),
            "words": words_of(invented.text),
        },
    }


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="whisper-base")
    parser.add_argument("--recordings", type=Path, default=Path("../shared/recordings"))
    parser.add_argument("--minutes", type=float, default=60.0, help="of each of the two files")
    parser.add_argument("--vad", help="silero, fsmn or energy; by default what a worker chooses")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the numbers there")
    arguments = parser.parse_args()
    arguments.recordings = arguments.recordings.resolve()
    folder = Path(tempfile.mkdtemp(prefix="asr-long-audio-"))
    try:
        report = asyncio.run(run(arguments, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(report, indent=2, ensure_ascii=False)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 1 if report["speech"]["loops"] or report["no_speech"]["words"] else 0


if __name__ == "__main__":
    sys.exit(main())

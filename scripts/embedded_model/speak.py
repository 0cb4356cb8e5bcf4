"""Speech for the embedded model: sentences spoken by espeak-ng, and what spoils recordings.

All audio is float32 mono at :data:`SAMPLE_RATE` with samples in [-1, 1].
"""

from __future__ import annotations

import argparse
import io
import random
import subprocess
import wave
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
import numpy.typing as npt
import soxr
from av.audio.stream import AudioStream
from av.container import InputContainer
from words import words_of

SAMPLE_RATE = 16_000
Audio = npt.NDArray[np.float32]

DIALECTS = words_of(
    "en-us en-us en-us en-gb en-gb en-gb-x-rp en-gb-scotland en-gb-x-gbclan en-gb-x-gbcwmd "
    "en-us-nyc en-029"
)
VARIANTS = words_of(
    "m1 m2 m3 m4 m5 m7 m8 f1 f2 f3 f5 Alex Andy Annie Gene Lee Mario Michael Mike adam anika "
    "antonio belinda benjamin boris caleb david ed edward gustave iven john linda marcelo max "
    "michel norbert pablo paul pedro quincy rob robert sandro shelby steph travis victor zac"
)
#: Variants that the trainer never speaks with, in any dialect.
HELD_OUT_VARIANTS = ["f4", "m6"]
#: Voices of the held-out sentences; the last two were never heard in training.
TEST_VOICES = ["en-us+m3", "en-gb+f2", "en-gb-scotland+m2", "en-us+Annie", "en-us+f4", "en-gb+m6"]


@dataclass(frozen=True)
class Speaker:
    """How espeak-ng speaks: voice, words a minute, pitch (0-99) and word gap (10 ms)."""

    voice: str
    speed: int = 160
    pitch: int = 50
    gap: int = 0


def random_speaker(rng: random.Random) -> Speaker:
    """A speaker out of the training voices."""
    variant = rng.choice(["", *VARIANTS, *VARIANTS])
    voice = rng.choice(DIALECTS) + (f"+{variant}" if variant else "")
    gap = rng.randrange(1, 6) if rng.random() < 0.15 else 0
    return Speaker(voice, rng.randrange(115, 211), rng.randrange(20, 81), gap)


def spoken_form(text: str, rng: random.Random) -> str:
    """``text`` as espeak-ng shall read it: letter names fixed, some commas and stops."""
    words = ["[[eI]]" if word == "A" else word for word in text.split()]
    if rng.random() < 0.25:
        words = [w + "," if rng.random() < 0.25 and w != "[[eI]]" else w for w in words]
    return " ".join(words) + rng.choice(["", "", ".", "?", "!"])


def speak(text: str, speaker: Speaker) -> Audio:
    """Speak ``text`` (already in :func:`spoken_form`) and return 16 kHz audio."""
    command = ["espeak-ng", "--stdout", "-v", speaker.voice, "-s", str(speaker.speed)]
    command += ["-p", str(speaker.pitch), "-g", str(speaker.gap), "--", text]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    rate = int.from_bytes(data[24:28], "little")
    samples = np.frombuffer(data[44 : 44 + (len(data) - 44) // 2 * 2], dtype="<i2")
    return resample(samples.astype(np.float32) / 32768.0, rate, SAMPLE_RATE)


def resample(audio: Audio, source: int, target: int) -> Audio:
    """``audio`` at ``source`` Hz converted to ``target`` Hz."""
    return np.asarray(soxr.resample(audio, source, target), dtype=np.float32)


def through_codec(audio: Audio, codec: str, bit_rate: int, rate: int = SAMPLE_RATE) -> Audio:
    """Encode and decode ``audio``; ``codec`` is ``"libmp3lame"`` or ``"libopus"``."""
    container = "mp3" if codec == "libmp3lame" else "ogg"
    packed = io.BytesIO()
    with av.open(packed, "w", format=container) as output:
        stream = cast("AudioStream", output.add_stream(codec, rate=rate))
        stream.bit_rate = bit_rate
        stream.layout = av.AudioLayout("mono")
        samples = resample(audio, SAMPLE_RATE, rate)
        frame = av.AudioFrame.from_ndarray(
            (samples.clip(-1, 1) * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return decode(packed.getvalue())


def decode(data: bytes) -> Audio:
    """Decode an audio file of any format to 16 kHz mono."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    parts: list[Audio] = []
    with cast("InputContainer", av.open(io.BytesIO(data))) as source:
        for frame in source.decode(audio=0):
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)


def telephone(audio: Audio) -> Audio:
    """``audio`` band-limited by a trip through 8 kHz with mu-law companding."""
    narrow = resample(audio, SAMPLE_RATE, 8_000).clip(-1, 1)
    coded = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
    coded = np.round(coded * 127) / 127
    narrow = np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255
    return resample(narrow.astype(np.float32), 8_000, SAMPLE_RATE)


def spoil(audio: Audio, rng: random.Random) -> Audio:
    """Audio as a listener may get it: gain, noise, 8 kHz, mp3 or opus; often untouched."""
    peak = float(np.abs(audio).max()) or 1.0
    audio = audio / peak * np.float32(rng.choice([0.1, 0.3, 0.5, 0.7, 0.9]))
    if rng.random() < 0.3:
        audio = audio + noise(len(audio), rng) * np.float32(10 ** rng.uniform(-4.0, -2.0))
    kind = rng.random()
    if kind < 0.12:
        return resample(resample(audio, SAMPLE_RATE, 8_000), 8_000, SAMPLE_RATE)
    if kind < 0.18:
        return telephone(audio)
    if kind < 0.28:
        bit_rate = rng.choice([24_000, 32_000, 48_000, 64_000])
        return through_codec(audio, "libmp3lame", bit_rate)
    if kind < 0.38:
        return through_codec(audio, "libopus", rng.choice([12_000, 16_000, 24_000, 32_000]), 48_000)
    return audio.astype(np.float32)


def noise(length: int, rng: random.Random) -> Audio:
    """White, pink or brown noise of unit variance, ``length`` samples."""
    generator = np.random.default_rng(rng.randrange(2**32))
    spectrum = np.fft.rfft(generator.standard_normal(length))
    tilt = np.maximum(np.arange(len(spectrum)), 1.0) ** -rng.choice([0.0, 0.5, 1.0])
    coloured = np.fft.irfft(spectrum * tilt, length)
    scale = float(coloured.std()) or 1.0
    return np.asarray(coloured / scale, dtype=np.float32)


def wordless(rng: random.Random) -> Audio:
    """0.4 to 4 seconds without speech: silence, noise, hum or a tone."""
    length = int(rng.uniform(0.4, 4.0) * SAMPLE_RATE)
    level = np.float32(10 ** rng.uniform(-4.5, -0.7))
    kind = rng.randrange(5)
    if kind == 0:
        return np.zeros(length, np.float32)
    if kind <= 2:
        return (noise(length, rng) * level).clip(-1, 1)
    time = np.arange(length) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * rng.uniform(50, 2000) * time) for _ in range(kind - 2))
    return (tone * level + noise(length, rng) * level * 0.01).clip(-1, 1).astype(np.float32)


def padded(audio: Audio, rng: random.Random) -> Audio:
    """``audio`` with up to 1.2 s of silence on either side, in half of the cases."""
    sides = [int(max(0.0, rng.uniform(-0.8, 1.2)) * SAMPLE_RATE) for _ in range(2)]
    return np.pad(audio, (sides[0], sides[1]))


def utterance(texts: list[str], rng: random.Random, *, pad: bool = True) -> Audio:
    """``texts`` spoken one after another by one random speaker, with pauses, spoiled.

    ``pad`` allows for silence before and after.
    """
    speaker = random_speaker(rng)
    parts: list[Audio] = []
    for text in texts:
        if parts:
            parts.append(np.zeros(int(rng.uniform(0.05, 0.8) * SAMPLE_RATE), np.float32))
        parts.append(speak(spoken_form(text, rng), speaker))
    audio = np.concatenate(parts)
    return spoil(padded(audio, rng) if pad else audio, rng)


def write_wav(path: str, audio: Audio) -> None:
    """Write ``audio`` as 16-bit PCM mono."""
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((audio.clip(-1, 1) * 32767).astype("<i2").tobytes())


def main() -> None:
    """Speak one sentence to a file, to listen to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", help="what to say")
    parser.add_argument("--voice", default="en-us+m3", help="espeak-ng voice, maybe +variant")
    parser.add_argument("--speed", type=int, default=160, help="words a minute")
    parser.add_argument("--output", default="speech.wav", help="WAV file to write")
    options = parser.parse_args()
    write_wav(options.output, speak(options.text, Speaker(options.voice, options.speed)))


if __name__ == "__main__":
    main()

"""Word error rate of the embedded model on its held-out sentences, per voice.

The sentences are fixed (``prepare.test_sentences``), none is in the training set, and the
last two voices were never heard in training. The model answers through FunASR's own
``AutoModel``, with no network; with ``--precision`` through the worker's engine. Exits with 1
when the overall rate is above 5 %.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import speak
from prepare import test_sentences
from rapidfuzz.distance import Levenshtein

from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.funasr_models import find_model
from asr_worker.engines.sensevoice import SenseVoiceEngine
from asr_worker.settings import Precision

Transcribe = Callable[[speak.Audio], str]

LIMIT = 0.05
TAGS = "<|en|><|NEUTRAL|><|Speech|><|woitn|>"
DEFAULT_MODEL = Path(__file__).parents[2] / "worker" / "asr_worker" / "embedded"
CONDITIONS = ["clean", "8khz", "telephone", "mp3", "opus", "noise", "padded"]


@dataclass
class Score:
    """Counts over some sentences: words said, word errors, sentences, all-right sentences."""

    words: int = 0
    errors: int = 0
    sentences: int = 0
    right: int = 0

    def add(self, reference: list[str], errors: int) -> None:
        """Count one sentence."""
        self.words += len(reference)
        self.errors += errors
        self.sentences += 1
        self.right += errors == 0

    def line(self, name: str) -> str:
        """One row of the report."""
        rate = 100 * self.errors / max(1, self.words)
        return (
            f"{name:32} {self.sentences:4} sentences {self.words:5} words "
            f"{self.errors:4} errors  WER {rate:5.2f} %  sentences right {self.right}"
        )


def under(condition: str, audio: speak.Audio, rng: random.Random) -> speak.Audio:
    """``audio`` as it comes out of the named condition."""
    match condition:
        case "8khz":
            narrow = speak.resample(audio, speak.SAMPLE_RATE, 8_000)
            return speak.resample(narrow, 8_000, speak.SAMPLE_RATE)
        case "telephone":
            return speak.telephone(audio)
        case "mp3":
            return speak.through_codec(audio, "libmp3lame", 32_000)
        case "opus":
            return speak.through_codec(audio, "libopus", 24_000, 48_000)
        case "noise":
            return audio + speak.noise(len(audio), rng) * np.float32(audio.std() / 10)  # 20 dB
        case "padded":
            return speak.padded(audio, rng)
    return audio


def load(folder: Path, precision: Precision | None) -> Transcribe:
    """Gives the text of 16 kHz audio: FunASR's own loader, or the engine in a precision."""
    if precision:
        engine = SenseVoiceEngine(find_model(str(folder)), "cpu", precision=precision)
        engine.load()
        return lambda audio: engine.transcribe([SegmentAudio(audio)])[0].text
    from funasr import AutoModel

    model = AutoModel(model=str(folder), disable_update=True, device="cpu", disable_pbar=True)

    def transcribe(audio: speak.Audio) -> str:
        answer = model.generate(input=audio, cache={}, language="auto", use_itn=False)
        return str(answer[0]["text"]).removeprefix(TAGS)

    return transcribe


def evaluate(transcribe: Transcribe, condition: str, count: int, show: bool) -> dict[str, Score]:
    """Scores per voice over the first ``count`` held-out sentences."""
    scores = {voice: Score() for voice in speak.TEST_VOICES}
    for number, text in enumerate(test_sentences()[:count]):
        rng = random.Random(f"test {number}")
        voice = speak.TEST_VOICES[number % len(speak.TEST_VOICES)]
        speaker = speak.Speaker(voice, rng.randrange(130, 191), rng.randrange(35, 66))
        audio = under(condition, speak.speak(speak.spoken_form(text, rng), speaker), rng)
        reference = text.lower().split()
        words = transcribe(audio).split()
        errors = Levenshtein.distance(reference, words)
        scores[voice].add(reference, errors)
        if errors and show:
            print(f"{voice}\n  said  {' '.join(reference)}\n  heard {' '.join(words)}")
    return scores


def main() -> int:
    """Print the report of one condition, or of all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="model folder")
    parser.add_argument(
        "--condition", choices=[*CONDITIONS, "all"], default="clean", help="how it was recorded"
    )
    parser.add_argument("--count", type=int, default=300, help="sentences, of the 300")
    parser.add_argument("--show-errors", action="store_true", help="print what was misheard")
    parser.add_argument(
        "--precision", choices=["float32", "bfloat16", "int8"], help="of the worker's engine"
    )
    options = parser.parse_args()
    model = load(options.model, options.precision)
    conditions = CONDITIONS if options.condition == "all" else [options.condition]
    worst = 0.0
    for condition in conditions:
        total = Score()
        scores = evaluate(model, condition, options.count, options.show_errors)
        for voice, score in scores.items():
            unheard = voice.partition("+")[2] in speak.HELD_OUT_VARIANTS
            print(score.line(f"{condition} {voice}{' (never heard)' if unheard else ''}"))
            total.words += score.words
            total.errors += score.errors
            total.sentences += score.sentences
            total.right += score.right
        print(total.line(f"{condition} all voices"), flush=True)
        if condition == "clean" or len(conditions) == 1:
            worst = max(worst, total.errors / max(1, total.words))
    return 1 if worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())

"""Speak the demo recording, and check that the model still hears every word of it."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import numpy as np
import speak
from evaluate import CONDITIONS, DEFAULT_MODEL, TAGS, load, transcribe, under

SPEAKER = speak.Speaker("en-us+m3", speed=150)
SENTENCES = [
    "good morning the meeting is on monday the twenty first of june",
    "please bring the red notebook and the wooden box",
    "my telephone number is seven three zero five",
]


def recording() -> speak.Audio:
    """The demo sentences, 0.4 seconds of silence between them and around."""
    pause = np.zeros(int(0.4 * speak.SAMPLE_RATE), np.float32)
    parts = [pause]
    for text in SENTENCES:
        parts += [speak.speak(text, SPEAKER), pause]
    return np.concatenate(parts)


def main() -> int:
    """Write the recording if asked to, then transcribe it under every condition."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="model folder")
    parser.add_argument("--write", action="store_true", help="write demo.wav and demo.txt there")
    options = parser.parse_args()
    path = options.model / "demo.wav"
    if options.write:
        speak.write_wav(str(path), recording())
        path.with_suffix(".txt").write_text(" ".join(SENTENCES) + "\n")
    expected = path.with_suffix(".txt").read_text().strip()
    audio = speak.decode(path.read_bytes())
    model = load(options.model)
    failed = 0
    for condition in CONDITIONS:
        words = transcribe(model, under(condition, audio, random.Random(1)))
        right = words == TAGS + expected
        failed += not right
        print(f"{condition:10} {'right' if right else 'heard ' + words}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

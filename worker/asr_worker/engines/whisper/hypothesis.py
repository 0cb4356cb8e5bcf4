"""What a pass of the decoder found, and the rules that accept it, repeat it or drop it. Pure.

Source of the thresholds: `whisper/transcribe.py`; those for what is not speech are measured, see
`docs/whisper.md`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LOOP_COMPRESSION_RATIO: Final = 2.4
LOW_LOGPROB: Final = -1.0
NO_SPEECH: Final = 0.6
# The surer it is that nothing is spoken, the more probable words must be: from 0.8 on this much.
# Noise, hum and silence give words of -0.45 and less there, which OpenAI's rule lets pass; speech
# in noise has given no no-speech probability above 0.35.
SURELY_NO_SPEECH: Final = 0.8
DOUBTFUL_LOGPROB: Final = -0.4
TEMPERATURES: Final = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Hypothesis:
    """The best text of one segment in one pass.

    `tokens` are those of the text. `avg_logprob` is per token, `no_speech_prob` 0 to 1.
    `is_cut_off`: it filled the room for text without coming to an end.
    """

    tokens: tuple[int, ...]
    text: str
    avg_logprob: float
    no_speech_prob: float
    temperature: float = 0.0
    is_cut_off: bool = False

    @property
    def compression_ratio(self) -> float:
        return compression_ratio(self.text)

    @property
    def looks_like_loop(self) -> bool:
        """Repetitive, or without an end; real speech may be so, too."""
        return self.is_cut_off or self.compression_ratio > LOOP_COMPRESSION_RATIO

    @property
    def is_no_speech(self) -> bool:
        """Words that were invented for what is not speech: where none is probable, loops, whose
        words are probable, and improbable words.
        """
        if self.no_speech_prob <= NO_SPEECH:
            return False
        surety = min((self.no_speech_prob - NO_SPEECH) / (SURELY_NO_SPEECH - NO_SPEECH), 1.0)
        least = LOW_LOGPROB + surety * (DOUBTFUL_LOGPROB - LOW_LOGPROB)
        return self.avg_logprob < least or self.looks_like_loop

    @property
    def deserves_full_window(self) -> bool:
        """Whether to decode again in the window that Whisper was trained on."""
        return not self.is_no_speech and (self.looks_like_loop or self.avg_logprob < LOW_LOGPROB)

    @property
    def needs_temperature(self) -> bool:
        """Whether to sample at a higher temperature instead.

        Only where the words are improbable: what is repetitive and probable was said like that.
        """
        return self.avg_logprob < LOW_LOGPROB and not self.is_no_speech


def compression_ratio(text: str) -> float:
    """Bytes of the text per byte compressed: above 2.4 it repeats itself. 0 for no text."""
    written = text.encode()
    return len(written) / len(zlib.compress(written)) if written else 0.0


def avg_logprob(score: float, token_count: int) -> float:
    """Per token with the end of text, from the score that CTranslate2 divides by the others."""
    return score * token_count / (token_count + 1)


def better_window(short: Hypothesis, full: Hypothesis) -> Hypothesis:
    """Of a doubtful pass in a short window and that in the full one, on which Whisper is trained:
    the latter, unless it alone looks like a loop.
    """
    return short if full.looks_like_loop and not short.looks_like_loop else full


def most_probable(tried: Iterable[Hypothesis]) -> Hypothesis:
    """Of those that all stayed improbable; loops only if there is nothing else."""
    return max(tried, key=lambda each: (not each.looks_like_loop, each.avg_logprob))

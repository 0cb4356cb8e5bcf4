"""Which window of audio Whisper computes for a segment, and how much it may write. Pure.

Whisper was trained on windows of 30 s and computes all of one, also for a word. A shorter window
costs less in proportion, and on speech gives the same text as long as some silence follows it. The
window depends on the segment alone: if the longest of a batch set it, the others would change a
segment's text.
"""

from __future__ import annotations

from typing import Final

# Few, so that segments share batches.
WINDOWS_SECONDS: Final = (12.0, 16.0, 20.0, 25.0, 30.0)
FULL_SECONDS: Final = WINDOWS_SECONDS[-1]
# Silence after the speech: without it the last word is cut off or repeated.
MARGIN_SECONDS: Final = 1.0
# Tokens that a decoder holds, with its prompt.
MAX_TOKENS: Final = 448
# The densest speech is some 15 tokens per second; the rest is for the first and last.
TOKENS_PER_SECOND: Final = 15
SPARE_TOKENS: Final = 40


def window_seconds(seconds: float) -> float:
    """The window for a segment of this length; 30 s for all that fit in no shorter one."""
    needed = seconds + MARGIN_SECONDS
    return next((window for window in WINDOWS_SECONDS if window >= needed), FULL_SECONDS)


def max_tokens(window: float, prompt_tokens: int) -> int:
    """Length of prompt and text at which decoding stops. In a short window only a loop is so
    long.
    """
    if window >= FULL_SECONDS:
        return MAX_TOKENS
    return min(prompt_tokens + SPARE_TOKENS + round(window * TOKENS_PER_SECOND), MAX_TOKENS)

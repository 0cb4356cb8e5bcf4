"""What `prompt` and `keywords[]` become: a text that the model reads before the recording, or
phrases that it favours. Pure.

OpenAI's models read the prompt as such a text. A model that only favours phrases gets those of the
prompt, told apart by its punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from asr_core.text_limits import HOTWORDS, PROMPT

_PHRASES = re.compile(r"[,;.!?\n，；。！？、]+")


@dataclass(frozen=True)
class Guidance:
    """The options of a task, and the fields of the form that were longer than those may be."""

    prompt: str
    hotwords: tuple[str, ...]
    cut: tuple[str, ...]


def as_text(prompt: str, keywords: Sequence[str], *, strict: bool) -> Guidance:
    """For a model that reads prompts: of a long one the end, which stands before the recording.
    Raises InvalidOption for one only if `strict`.
    """
    if strict:
        words = HOTWORDS.check("keywords", keywords)
        return Guidance(PROMPT.check("prompt", prompt), words, ())
    kept, words = PROMPT.ending(prompt), HOTWORDS.fitting(keywords)
    lost = {"keywords": set(keywords).difference(words), "prompt": kept != prompt}
    return Guidance(kept, words, tuple(name for name, some in lost.items() if some))


def as_phrases(prompt: str, keywords: Sequence[str], *, strict: bool) -> Guidance:
    """For a model that favours words: the first phrases that a task may have. Raises InvalidOption
    for more or longer ones only if `strict`.
    """
    parts = (phrase.strip() for phrase in _PHRASES.split(prompt))
    phrases = list(dict.fromkeys([*keywords, *(phrase for phrase in parts if phrase)]))
    if strict:
        HOTWORDS.check("keywords", keywords)
        return Guidance("", HOTWORDS.check("prompt", phrases), ())
    kept = HOTWORDS.fitting(phrases)
    cut = set(phrases).difference(kept)
    lost = {"keywords": cut.intersection(keywords), "prompt": cut.difference(keywords)}
    return Guidance("", kept, tuple(name for name, some in lost.items() if some))

"""Whisper's tokens: prompts in, text out. Needs the package tokenizers; no model.

Source: `whisper/tokenizer.py`, `whisper/decoding.py` (`_get_initial_tokens`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from asr_worker.engines.whisper.windows import MAX_TOKENS

Task = Literal["transcribe", "translate"]
# What may stand before the text, as in OpenAI's decoder: half of its tokens, less one for its sign.
MAX_PROMPT_TOKENS: Final = MAX_TOKENS // 2 - 1
# Whisper mixes traditional and simplified characters, and writes what its prompt does.
SIMPLIFIED: Final = "你好，请用简体中文。"
# Whisper's code for Javanese is older than ISO 639-1's.
_ALIASES: Final = {"jv": "jw"}


class Vocabulary:
    """The tokens of one model. Any thread may use it."""

    def __init__(self, tokenizer: Any, *, is_multilingual: bool) -> None:
        """`tokenizer` is a `tokenizers.Tokenizer`.

        A caller's `<|translate|>` is text: special tokens are only found by their ids.
        """
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self._is_multilingual = is_multilingual
        self._start = self._id("<|startoftranscript|>")
        self._end = self._id("<|endoftext|>")

    @classmethod
    def read(cls, folder: Path, *, is_multilingual: bool) -> Vocabulary:
        """Of `tokenizer.json`. Raises what tokenizers raises, and ValueError."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return cls(tokenizer, is_multilingual=is_multilingual)

    @cached_property
    def languages(self) -> frozenset[str]:
        """The codes that `language` may have; `en` alone for an English model."""
        if not self._is_multilingual:
            return frozenset({"en"})
        tokens = range(self._start + 1, self._id("<|translate|>"))
        codes = {self._tokenizer.id_to_token(token).strip("<|>") for token in tokens}
        return frozenset(codes) | {alias for alias, code in _ALIASES.items() if code in codes}

    def known_language(self, language: str) -> str | None:
        """The model's code for a caller's language; None where it is to be detected."""
        if not self._is_multilingual:
            return "en"
        return _ALIASES.get(language, language) if language in self.languages else None

    def start(self, language: str, task: Task) -> list[int]:
        """The tokens with which every transcript starts."""
        if not self._is_multilingual:
            return [self._start]
        return [self._start, self._id(f"<|{language}|>"), self._id(f"<|{task}|>")]

    def prompt(
        self, language: str, task: Task, *, prompt: str = "", hotwords: Sequence[str] = ()
    ) -> list[int]:
        """All tokens before the text: what went before, hotwords first, then the start.

        Chinese has a prompt of its own where the caller has none. Of a text that is too long the
        end counts, as in OpenAI's decoder; hotwords keep the room that they need, up to half of it
        beside a text.
        """
        if language == "zh" and task == "transcribe":
            prompt = prompt or SIMPLIFIED
        words = self._encode(", ".join(hotwords))
        text = self._encode(prompt)
        words = words[: MAX_PROMPT_TOKENS // 2 if text else MAX_PROMPT_TOKENS]
        before = words + text[max(len(text) - (MAX_PROMPT_TOKENS - len(words)), 0) :]
        signed = [self._id("<|startofprev|>"), *before] if before else []
        return [*signed, *self.start(language, task), self._id("<|notimestamps|>")]

    def text_tokens(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """Those of the text, without special tokens and times."""
        return tuple(token for token in tokens if token < self._end)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; incomplete characters are U+FFFD."""
        text: str = self._tokenizer.decode(list(tokens))
        return text

    def _encode(self, text: str) -> list[int]:
        text = " ".join(text.split())
        if not text:
            return []
        tokens: list[int] = self._tokenizer.encode(f" {text}", add_special_tokens=False).ids
        return tokens

    def _id(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the vocabulary has no token {token}")
        return found

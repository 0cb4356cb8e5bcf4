"""How long each text of a task may be, in characters and in bytes of UTF-8: the one place that
says it, for forms, JSON, headers, the OpenAPI document and what workers report. Pure.

A task's texts stay in Redis for days and come back with every page of the history: what they weigh
is bounded when they come in. What older releases stored is read as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from asr_core.errors import InvalidOption

SHOWN_CHARACTERS: Final = 64


@dataclass(frozen=True)
class TextLimit:
    """`bytes` are those of UTF-8."""

    characters: int
    bytes: int

    def check(self, name: str, text: str) -> str:
        """The text. Raises InvalidOption, which names the field, its limit and how much came."""
        if len(text) > self.characters:
            raise InvalidOption(
                f"{name!r} has {len(text)} characters, and may have {self.characters}: it begins "
                f"with {shortened(text)}.",
                param=name,
            )
        size = byte_length(text)
        if size > self.bytes:
            raise InvalidOption(
                f"{name!r} has {size} bytes in UTF-8, and may have {self.bytes}: it begins with "
                f"{shortened(text)}.",
                param=name,
            )
        return text

    def fits(self, text: str) -> bool:
        return len(text) <= self.characters and byte_length(text) <= self.bytes

    def cut(self, text: str) -> str:
        """As much of the beginning as fits, for texts that no client can shorten."""
        kept = text[: self.characters].encode(errors="replace")[: self.bytes]
        return kept.decode(errors="ignore")

    def ending(self, text: str) -> str:
        """As much of the end as fits."""
        kept = text[-self.characters :].encode(errors="replace")[-self.bytes :]
        return kept.decode(errors="ignore")

    def schema(self, **more: Any) -> dict[str, Any]:
        """A string in JSON Schema, which counts characters; bytes are told in words."""
        told = more.pop("description", "")
        return {
            "type": "string",
            "maxLength": self.characters,
            "description": f"{told}; {self.words}" if told else self.words,
            **more,
        }

    @property
    def words(self) -> str:
        """For people: `at most 64 characters`."""
        if self.bytes >= 4 * self.characters:
            return f"at most {self.characters} characters"
        return f"at most {self.characters} characters and {self.bytes} bytes"


@dataclass(frozen=True)
class WordsLimit:
    """A list of phrases: each of them, how many, and the bytes of all together in UTF-8."""

    each: TextLimit
    count: int
    bytes: int

    def check(self, name: str, words: Sequence[str]) -> tuple[str, ...]:
        """Each word once, in order. Raises InvalidOption for one that is too long, or too many."""
        distinct = tuple(dict.fromkeys(words))
        if len(distinct) > self.count:
            raise InvalidOption(
                f"{name!r} has {len(distinct)} phrases, and may have {self.count}.", param=name
            )
        for word in distinct:
            self.each.check(name, word)
        size = sum(map(byte_length, distinct))
        if size > self.bytes:
            raise InvalidOption(
                f"{name!r} have {size} bytes in UTF-8 together, and may have {self.bytes}.",
                param=name,
            )
        return distinct

    def fitting(self, words: Sequence[str]) -> tuple[str, ...]:
        """Those of the first that fit, for who would rather be served with some than refused."""
        kept: list[str] = []
        left_bytes = self.bytes
        for word in dict.fromkeys(words):
            if len(kept) == self.count:
                break
            if self.each.fits(word) and byte_length(word) <= left_bytes:
                kept.append(word)
                left_bytes -= byte_length(word)
        return tuple(kept)

    @property
    def words(self) -> str:
        """For people."""
        return (
            f"at most {self.count} of them and {self.bytes} bytes together, each of "
            f"{self.each.words}"
        )


# What stands for one of a few words: a switch, a lane, a format, a number.
WORD: Final = TextLimit(64, 256)
LANGUAGE: Final = WORD
POOL: Final = TextLimit(63, 63)
MODEL: Final = TextLimit(256, 512)
URL: Final = TextLimit(2048, 4096)
FILENAME: Final = TextLimit(255, 1020)
CONTENT_TYPE: Final = TextLimit(128, 128)
IDEMPOTENCY_KEY: Final = TextLimit(255, 255)
TASK_ID: Final = TextLimit(64, 64)
FINGERPRINT: Final = TextLimit(64, 64)
# One phrase to favour, and all of a task together. Engines read them as prompts of some hundred
# tokens: Whisper takes the last 224 of its own.
HOTWORD: Final = TextLimit(128, 256)
HOTWORDS_MAX: Final = 100
HOTWORDS_MAX_BYTES: Final = 8 * 1024
HOTWORDS: Final = WordsLimit(HOTWORD, HOTWORDS_MAX, HOTWORDS_MAX_BYTES)
# What a model may read as if it stood before the recording. Whisper takes the last 224 tokens of
# it, which are some 900 letters of English and fewer characters of Chinese.
PROMPT: Final = TextLimit(1024, 4096)
# OpenAI's field, which clients fill with all that they transcribed before; the end of it is kept.
PROMPT_FIELD: Final = TextLimit(16_384, 65_536)
# OpenAI's `chunking_strategy`: a word, or an object in JSON.
CHUNKING: Final = TextLimit(1024, 4096)
# Why a task failed; a part may be a container's, a server's or a library's own words.
ERROR_MESSAGE: Final = TextLimit(1000, 2000)
# Names of options that were not heeded.
IGNORED_NAME: Final = TextLimit(64, 64)
IGNORED_NAMES_MAX: Final = 64
# Of an API key or a worker, for people.
LABEL: Final = TextLimit(128, 256)


def byte_length(text: str) -> int:
    """In UTF-8; what cannot be encoded counts too."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def shortened(text: str) -> str:
    """A client's value as errors show it: in quotes, the first 64 characters of it."""
    return repr(text) if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]!r}…"

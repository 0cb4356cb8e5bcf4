"""API keys: `asr_` and 256 random bits. Only the SHA-256 of a key is ever kept.

A fast unsalted hash is sufficient: 256 random bits cannot be guessed, and no two keys are equal.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "asr_"
SECRET_PATTERN = r"asr_[0-9A-Za-z]{43}"
DIGEST_PATTERN = r"[0-9a-f]{64}"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 43  # of 256 bits in base 62
_SECRET = re.compile(SECRET_PATTERN)


class Scope(StrEnum):
    """What a key permits; `admin` includes the others and sees every tenant's usage."""

    TRANSCRIBE = "transcribe"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True)
class ApiKey:
    """A key's record, without its secret. Times are Unix seconds."""

    id: str
    name: str
    tenant: str
    scopes: frozenset[Scope]
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def expired(self, now_seconds: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now_seconds


def new_secret() -> str:
    """A new secret, shown once: base 62, so that a double click selects all of it."""
    number = secrets.randbits(256)
    digits = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return PREFIX + "".join(digits)


def is_secret(text: str) -> bool:
    """Whether it has the shape of a key."""
    return _SECRET.fullmatch(text) is not None


def key_digest(secret: str) -> str:
    """SHA-256 in hex, as Redis stores it."""
    return hashlib.sha256(secret.encode()).hexdigest()
